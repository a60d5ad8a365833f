#include "kernels/cuda/driver.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using testing::HasSubstr;

TEST(DriverTest, SaysWhichLibraryIsMissing) {
  const auto driver = Driver::Open("libno_cuda_here.so.1");
  EXPECT_EQ(ErrorId(driver.status()), "CUDA_DRIVER");
  EXPECT_EQ(driver.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(driver.status().message()),
              HasSubstr("libno_cuda_here.so.1"));
}

TEST(DriverTest, SaysWhichFunctionALibraryLacks) {
  const auto driver = Driver::Open("libm.so.6");
  EXPECT_EQ(ErrorId(driver.status()), "CUDA_DRIVER");
  EXPECT_THAT(std::string(driver.status().message()),
              HasSubstr("libm.so.6 has no cuInit"));
}

TEST(DriverTest, KnowsVersionAndDevices) {
  FakeCudaOptions options;
  options.driver_version = 12080;
  options.num_devices = 2;
  const FakeCuda fake(options);
  const auto driver = fake.driver();
  EXPECT_EQ(driver->version(), 12080);
  EXPECT_EQ(driver->num_devices(), 2);
}

TEST(DriverTest, RefusesAnOldDriver) {
  FakeCudaOptions options;
  options.driver_version = 11030;
  const FakeCuda fake(options);
  const auto driver = Driver::FromTable(fake.table());
  EXPECT_EQ(ErrorId(driver.status()), "CUDA_DRIVER");
  EXPECT_EQ(GetErrorDetails(driver.status()).expected, "11.4");
  EXPECT_EQ(GetErrorDetails(driver.status()).found, "11.3");
}

TEST(DriverTest, RefusesADriverWithoutADevice) {
  FakeCudaOptions options;
  options.num_devices = 0;
  const FakeCuda fake(options);
  const auto driver = Driver::FromTable(fake.table());
  EXPECT_EQ(ErrorId(driver.status()), "CUDA_DRIVER");
  EXPECT_THAT(std::string(driver.status().message()),
              HasSubstr("CUDA_ERROR_NO_DEVICE"));
}

TEST(DriverTest, ErrorsCarryTheDriversName) {
  const FakeCuda fake;
  const auto driver = fake.driver();
  EXPECT_TRUE(driver->Check(kSuccess, "doing it").ok());
  const absl::Status status = driver->Check(kInvalidHandle, "doing it");
  EXPECT_EQ(ErrorId(status), "CUDA");
  EXPECT_EQ(status.message(),
            "doing it: CUDA_ERROR_INVALID_HANDLE (as the fake driver says)");
  EXPECT_EQ(driver->Check(12345, "doing it").message(),
            "doing it: CUDA error 12345");
}

TEST(DriverTest, MemoryThatIsOutHasItsOwnId) {
  const FakeCuda fake;
  const absl::Status status = fake.driver()->Check(kOutOfMemory, "doing it");
  EXPECT_EQ(ErrorId(status), "OUT_OF_MEMORY");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
