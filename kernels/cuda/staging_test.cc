#include "kernels/cuda/staging.h"

#include <cstring>
#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "kernels/cuda/testing/fake_cuda.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

class StagingTest : public ::testing::Test {
 protected:
  StagingTest()
      : driver_(fake_.driver()),
        device_(*Device::Open(*driver_, 0)),
        stream_(*device_->CreateStream()),
        memory_(*device_->Allocate(2 * sizeof(int), "a test")) {}

  void Copy(const Staging& staging, int number, int place) {
    const auto data = staging.Begin();
    ASSERT_TRUE(data.ok()) << data.status();
    std::memcpy(*data, &number, sizeof(number));
    EXPECT_TRUE(staging
                    .CopyTo(memory_.address() + place * sizeof(int),
                            sizeof(int), stream_.handle(), "copying")
                    .ok());
  }
  int NumberAt(int place) {
    EXPECT_TRUE(stream_.Synchronize().ok());
    return static_cast<const int*>(
        fake_.Resolve(memory_.address(), 2 * sizeof(int)))[place];
  }

  FakeCuda fake_;
  const std::unique_ptr<Driver> driver_;
  const std::unique_ptr<Device> device_;
  const Stream stream_;
  const DeviceBuffer memory_;
};

TEST_F(StagingTest, WaitsUntilTheDeviceHasReadWhatIsThere) {
  const auto staging = Staging::Create(*device_, sizeof(int), "a test");
  ASSERT_TRUE(staging.ok()) << staging.status();
  // The fake copies when somebody waits.
  Copy(*staging, 1, 0);
  Copy(*staging, 2, 1);
  EXPECT_EQ(NumberAt(0), 1);
  EXPECT_EQ(NumberAt(1), 2);
}

TEST_F(StagingTest, IsReadBeforeItGoes) {
  {
    const auto staging = Staging::Create(*device_, sizeof(int), "a test");
    ASSERT_TRUE(staging.ok()) << staging.status();
    Copy(*staging, 3, 0);
  }
  EXPECT_EQ(NumberAt(0), 3);
}

TEST_F(StagingTest, IsEmptyUntilItIsMade) {
  Staging staging;
  EXPECT_TRUE(staging.empty());
  staging = *Staging::Create(*device_, sizeof(int), "a test");
  EXPECT_FALSE(staging.empty());
  Copy(staging, 4, 0);
  EXPECT_EQ(NumberAt(0), 4);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
