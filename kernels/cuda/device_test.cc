#include "kernels/cuda/device.h"

#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using testing::HasSubstr;

class DeviceTest : public testing::Test {
 protected:
  static FakeCudaOptions Options() {
    FakeCudaOptions options;
    options.memory = 1000;
    options.multiprocessors = 132;
    return options;
  }

  FakeCuda fake_{Options()};
  std::unique_ptr<Driver> driver_ = fake_.driver();
  std::unique_ptr<Device> device_ = *Device::Open(*driver_, 0);
};

TEST_F(DeviceTest, KnowsWhatItIs) {
  EXPECT_EQ(device_->name(), "Fake GPU");
  EXPECT_EQ(device_->multiprocessors(), 132);
  EXPECT_EQ(device_->capability(), 90);
}

TEST_F(DeviceTest, RefusesANumberThatIsNone) {
  for (const int ordinal : {-1, 1}) {
    EXPECT_EQ(ErrorId(Device::Open(*driver_, ordinal).status()), "ARGUMENT");
  }
}

TEST_F(DeviceTest, OutOfMemorySaysHowMuchWasWantedAndHad) {
  const auto held = device_->Allocate(600, "the first");
  ASSERT_TRUE(held.ok());
  const absl::Status status = device_->Allocate(500, "the second").status();
  EXPECT_EQ(ErrorId(status), "OUT_OF_MEMORY");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the second needs 500 bytes"));
  EXPECT_EQ(GetErrorDetails(status).expected, "500");
  EXPECT_EQ(GetErrorDetails(status).found, "400");
  EXPECT_TRUE(device_->Allocate(400, "the third").ok());
}

TEST_F(DeviceTest, BuffersFreeWhatTheyHold) {
  {
    auto first = device_->Allocate(300, "a buffer");
    auto second = device_->Allocate(400, "another");
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(fake_.free_bytes(), 300u);
    DeviceBuffer moved = *std::move(first);
    moved = DeviceBuffer();
    EXPECT_EQ(fake_.free_bytes(), 600u);
  }
  EXPECT_EQ(fake_.free_bytes(), 1000u);
}

TEST_F(DeviceTest, LeavesTheThreadWithoutADevice) {
  ContextHandle context = nullptr;
  { const DeviceScope scope(*device_); }
  EXPECT_EQ((*driver_)->cuCtxPopCurrent_v2(&context), kInvalidContext);
}

TEST_F(DeviceTest, EventOrdersStreams) {
  const auto memory = device_->Allocate(1, "a byte");
  const auto first = device_->CreateStream();
  const auto second = device_->CreateStream();
  const auto event = device_->CreateEvent();
  ASSERT_TRUE(memory.ok() && first.ok() && second.ok() && event.ok());
  const DeviceScope scope(*device_);
  ASSERT_EQ(
      (*driver_)->cuMemsetD8Async(memory->address(), 5, 1, first->handle()),
      kSuccess);
  ASSERT_TRUE(event->Record(first->handle()).ok());
  ASSERT_TRUE(event->MakeWait(second->handle()).ok());
  ASSERT_TRUE(second->Synchronize().ok());
  EXPECT_EQ(*static_cast<char*>(fake_.Resolve(memory->address(), 1)), 5);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
