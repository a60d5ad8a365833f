#include "peft_cc/adapters/adapter_source.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(AdapterSourceTest, WhatIsThereIsLocalWhateverItsName) {
  EXPECT_TRUE(CheckIsLocal("peft_cc/adapters", {}).ok());
  HubOptions options;
  options.revision = "main";
  EXPECT_TRUE(CheckIsLocal("peft_cc/adapters", options).ok());
}

TEST(AdapterSourceTest, AHubIdIsRefusedByName) {
  const absl::Status status = CheckIsLocal("owner/my.adapter-1_x", {});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ErrorId(status), error_id::kUnimplemented);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("\"owner/my.adapter-1_x\""), HasSubstr("no Hub client")));
}

TEST(AdapterSourceTest, OtherPathsAreLeftToTheReader) {
  for (const char* path : {"absent", "/no/such", "./no/such", "../no", "a/b/c",
                           "a/", "/a", "", "a b/c", "-a/b", "a/b--c"}) {
    EXPECT_TRUE(CheckIsLocal(path, {}).ok()) << path;
  }
  EXPECT_TRUE(CheckIsLocal("a/" + std::string(100, 'b'), {}).ok());
}

TEST(AdapterSourceTest, HubOptionsMakeAnyAbsentPathAHubId) {
  HubOptions options;
  options.local_files_only = true;
  EXPECT_EQ(ErrorId(CheckIsLocal("absent", options)), error_id::kUnimplemented);
}

TEST(AdapterSourceTest, ListsTheOptionsThatAreGiven) {
  HubOptions options;
  EXPECT_EQ(options.Given(), "");
  options.token = "secret";
  options.force_download = true;
  EXPECT_EQ(options.Given(), "token, force_download");
}

TEST(AdapterSourceTest, AProxyIsNamedButNotRepeated) {
  HubOptions options;
  options.proxies = {"https=http://10.0.0.1:3128"};
  EXPECT_TRUE(CheckHubOptions(options).ok());
  for (const char* bad :
       {"http://user:secret@host", "=http://secret", "secret="}) {
    options.proxies = {"http=ok", bad};
    const absl::Status status = CheckHubOptions(options);
    EXPECT_EQ(ErrorId(status), error_id::kArgument) << bad;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("proxies[1]"), Not(HasSubstr("secret"))));
  }
}

}  // namespace
}  // namespace peft
