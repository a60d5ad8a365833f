// A fixture of tests that run twice, on the fake and on a GPU.
#ifndef KERNELS_CUDA_LT_TESTING_ON_TEST_DEVICE_H_
#define KERNELS_CUDA_LT_TESTING_ON_TEST_DEVICE_H_

#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/test_device.h"

namespace peft {
namespace kernels {
namespace cuda {

// The parameter says whether on a GPU; skips where there is none.
class OnTestDevice : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      device_ = TestDevice::Fake();
      return;
    }
    auto gpu = TestDevice::Gpu();
    if (!gpu.ok()) GTEST_SKIP() << "no GPU: " << gpu.status();
    device_ = *std::move(gpu);
  }

  // Null where the test is skipped.
  TestDevice* device() const { return device_.get(); }

 private:
  std::unique_ptr<TestDevice> device_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_TESTING_ON_TEST_DEVICE_H_
