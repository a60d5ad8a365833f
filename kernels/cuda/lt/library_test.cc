#include "kernels/cuda/lt/library.h"

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using ::testing::HasSubstr;

constexpr char kFakePath[] = "testing/fake_cublaslt/libfake_cublaslt.so";

TEST(LtLibraryTest, OpensAndKnowsItsVersion) {
  const auto library = LtLibrary::Open(kFakePath);
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_EQ((*library)->version(), 130100);
  EXPECT_EQ((*library)->path(), kFakePath);
}

TEST(LtLibraryTest, MissingLibraryIsNamedWithWhatToDo) {
  const auto library = LtLibrary::Open("/nowhere/libcublasLt.so.13");
  EXPECT_EQ(library.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorId(library.status()), error_id::kCublasLt);
  EXPECT_THAT(std::string(library.status().message()),
              HasSubstr("/nowhere/libcublasLt.so.13"));
  EXPECT_THAT(std::string(library.status().message()),
              HasSubstr("LD_LIBRARY_PATH"));
}

TEST(LtLibraryTest, NamesAllThatWasTried) {
  const auto library = LtLibrary::Open();
  if (library.ok()) GTEST_SKIP() << (*library)->path() << " is installed";
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    EXPECT_THAT(std::string(library.status().message()), HasSubstr(name));
  }
}

TEST(LtLibraryTest, AnotherLibraryLacksAFunction) {
  const auto library = LtLibrary::Open("libdl.so.2");
  EXPECT_EQ(library.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(library.status().message()),
              HasSubstr("cublasLtGetVersion"));
}

TEST(LtLibraryTest, RefusesAnOldVersion) {
  const auto fake = testing::FakeCublasLt::Open(kFakePath);
  testing::FakeCublasLtSettings settings;
  settings.version = 11600;  // 11.6.0 as version 11 wrote it
  fake->Set(settings);
  const auto library = LtLibrary::Open(kFakePath);
  EXPECT_EQ(library.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(library.status().message()), HasSubstr("12.0.0"));
  fake->Set({});
}

TEST(LtLibraryTest, ErrorsHaveTheLibrarysNameAndACode) {
  const auto library = LtLibrary::Open(kFakePath).value();
  EXPECT_TRUE(library->Check(kLtSuccess, "multiplying").ok());
  const absl::Status unsupported =
      library->Check(kLtNotSupported, "choosing an algorithm");
  EXPECT_EQ(unsupported.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(unsupported.message()),
              HasSubstr("choosing an algorithm: CUBLAS_STATUS_NOT_SUPPORTED"));
  EXPECT_EQ(library->Check(kLtAllocFailed, "starting").code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(library->Check(kLtExecutionFailed, "multiplying").code(),
            absl::StatusCode::kInternal);
}

TEST(LtHandleTest, NeedsADevice) {
  const auto fake = testing::FakeCublasLt::Open(kFakePath);
  testing::FakeCublasLtSettings settings;
  settings.device = false;
  fake->Set(settings);
  const auto library = LtLibrary::Open(kFakePath).value();
  const auto handle = LtHandle::Create(*library);
  EXPECT_EQ(handle.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(handle.status().message()), HasSubstr("context"));
  fake->Set({});
  EXPECT_TRUE(LtHandle::Create(*library).ok());
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
