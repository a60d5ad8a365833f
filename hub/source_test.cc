#include "hub/source.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

constexpr char kCommit[] = "0123456789abcdef0123456789abcdef01234567";
constexpr char kOther[] = "fedcba9876543210fedcba9876543210fedcba98";

// Takes from this thread what lets root look into everything.
class NoCapabilities {
 public:
  NoCapabilities() {
    EXPECT_EQ(syscall(SYS_capget, &header_, before_), 0);
    __user_cap_data_struct none[2] = {before_[0], before_[1]};
    none[0].effective = none[1].effective = 0;
    EXPECT_EQ(syscall(SYS_capset, &header_, none), 0);
  }
  ~NoCapabilities() { EXPECT_EQ(syscall(SYS_capset, &header_, before_), 0); }

 private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2] = {};
};

// A cache as huggingface_hub leaves it, beside a folder to work in.
class SourceTest : public testing::Test {
 protected:
  SourceTest()
      : root_(fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(root_);
    settings_.cache_dir = root_ / "cache";
    repo_ = root_ / "cache" / "models--org--name";
    AddFile(kCommit, "adapter_config.json");
    Write(repo_ / "refs" / "main", kCommit);
  }

  static void Write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  // As a link from the snapshot to a blob.
  void AddFile(const std::string& commit, const std::string& file) {
    Write(repo_ / "blobs" / "abc", "{}");
    const fs::path link = repo_ / "snapshots" / commit / file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(
        fs::relative(repo_ / "blobs" / "abc", link.parent_path()), link);
  }

  absl::StatusOr<Source> Find(const std::string& path,
                              const std::string& subfolder = "",
                              const Options& options = {}) const {
    return FindSource(path, subfolder, "adapter_config.json", options,
                      settings_);
  }

  void ExpectSnapshot(const absl::StatusOr<Source>& source,
                      const std::string& commit) const {
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->folder, (repo_ / "snapshots" / commit).string());
    EXPECT_EQ(source->commit, commit);
  }

  fs::path root_;
  fs::path repo_;
  Settings settings_;
};

TEST_F(SourceTest, MainIsTheRevisionByDefault) {
  ExpectSnapshot(Find("org/name"), kCommit);
}

TEST_F(SourceTest, ARevisionIsABranchATagAPullRequestOrACommit) {
  Write(repo_ / "refs" / "v1", std::string(kOther) + "\n");
  Write(repo_ / "refs" / "refs" / "pr" / "1", kOther);
  AddFile(kOther, "adapter_config.json");
  for (const std::string revision : {"v1", "refs/pr/1", kOther}) {
    Options options;
    options.revision = revision;
    ExpectSnapshot(Find("org/name", "", options), kOther);
  }
}

TEST_F(SourceTest, ASubfolderIsLookedIn) {
  AddFile(kCommit, "sub/adapter_config.json");
  ExpectSnapshot(Find("org/name", "sub"), kCommit);
  EXPECT_EQ(ErrorId(Find("org/name", "../sub").status()), "PATH_ESCAPES");
}

TEST_F(SourceTest, CacheDirOfTheOptionsWins) {
  Options options;
  options.cache_dir = root_ / "elsewhere";
  EXPECT_EQ(ErrorId(Find("org/name", "", options).status()), "UNIMPLEMENTED");
  fs::rename(root_ / "cache", root_ / "elsewhere");
  EXPECT_TRUE(Find("org/name", "", options).ok());
}

TEST_F(SourceTest, ALocalFolderWinsOnlyIfItHasTheFile) {
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  fs::create_directories("org/name");
  ExpectSnapshot(Find("org/name"), kCommit);
  Write("org/name/adapter_config.json", "{}");
  const auto source = Find("org/name");
  fs::current_path(before);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->folder, "org/name");
  EXPECT_EQ(source->commit, "");
}

TEST_F(SourceTest, WhatIsNotInTheCacheSaysHowToGetIt) {
  Options options;
  options.local_files_only = true;
  EXPECT_EQ(ErrorId(Find("org/other", "", options).status()),
            "HUB_LOCAL_ENTRY_NOT_FOUND");
  const absl::Status status = Find("org/other").status();
  EXPECT_EQ(ErrorId(status), "UNIMPLEMENTED");
  EXPECT_TRUE(absl::StrContains(status.message(), "hf download org/other"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), settings_.cache_dir))
      << status;
}

TEST_F(SourceTest, WhatTheRepositoryLacksIsAnotherError) {
  fs::remove(repo_ / "snapshots" / kCommit / "adapter_config.json");
  Write(repo_ / ".no_exist" / kCommit / "adapter_config.json", "");
  EXPECT_EQ(ErrorId(Find("org/name").status()), "HUB_ENTRY_NOT_FOUND");
}

TEST_F(SourceTest, ADamagedRefIsNoRef) {
  for (const std::string text :
       {"", "../../../../tmp", "main", "0123", "/etc",
        "0123456789abcdef0123456789abcdef0123456789abcdef"}) {
    Write(repo_ / "refs" / "main", text);
    EXPECT_EQ(ErrorId(Find("org/name").status()), "UNIMPLEMENTED") << text;
  }
}

TEST_F(SourceTest, ALinkWithoutItsBlobIsNotThere) {
  fs::remove(repo_ / "blobs" / "abc");
  EXPECT_EQ(ErrorId(Find("org/name").status()), "UNIMPLEMENTED");
}

TEST_F(SourceTest, WhatCanBeNoRepositoryIsAPath) {
  for (const std::string path :
       {"", "/absent", "./org/name", "absent", "a/b/c"}) {
    const auto source = Find(path);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(source->folder, path);
    EXPECT_EQ(source->commit, "");
  }
}

TEST_F(SourceTest, AForcedDownloadIsRefusedInsteadOfForgotten) {
  Options options;
  options.force_download = true;
  EXPECT_EQ(Find("org/name", "", options).status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Find("org/other", "", options).status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST_F(SourceTest, AProxyNeedsAScheme) {
  for (const std::string proxy :
       {"", "http", "=x", "http=", "ftp=http://a", "http://user:secret@host",
        "=http://secret"}) {
    Options options;
    options.proxies = {"all=http://a", proxy};
    const absl::Status status = Find("org/name", "", options).status();
    EXPECT_EQ(ErrorId(status), "ARGUMENT") << proxy;
    EXPECT_TRUE(absl::StrContains(status.message(), "proxies[1]")) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "secret")) << status;
  }
}

TEST_F(SourceTest, OptionsListThemselvesWithoutTheirValues) {
  Options options;
  EXPECT_EQ(options.Given(), "");
  options.token = "secret";
  options.force_download = true;
  options.endpoint = "https://mirror";
  EXPECT_EQ(options.Given(), "token, force_download, endpoint");
}

TEST_F(SourceTest, WhatIsHereOrCanBeNoRepositoryIsLocal) {
  Write(root_ / "sub" / "file", "");
  const std::string folder = root_;
  EXPECT_TRUE(IsLocal(folder, "sub", "file"));
  EXPECT_TRUE(IsLocal(folder, "", "file"));  // no repository's name
  EXPECT_FALSE(IsLocal("org/name", "", "file"));
  EXPECT_FALSE(IsLocal("gpt2", "", "file"));
}

// Nobody's request goes out for the name of a folder that only lacks a right.
TEST_F(SourceTest, AFolderThatMayNotBeLookedIntoIsLocal) {
  const fs::path before = fs::current_path();
  fs::create_directories(root_ / "org" / "closed");
  fs::create_directories(root_ / "org" / "open");
  fs::permissions(root_ / "org" / "closed", fs::perms::none);
  fs::current_path(root_);
  const NoCapabilities none;
  EXPECT_TRUE(IsLocal("org/closed", "", "file"));
  EXPECT_EQ(Find("org/closed", "")->folder, "org/closed");
  EXPECT_FALSE(IsLocal("org/open", "", "file"));
  fs::current_path(before);
  fs::permissions(root_ / "org" / "closed", fs::perms::owner_all);
}

}  // namespace
}  // namespace hub
}  // namespace peft
