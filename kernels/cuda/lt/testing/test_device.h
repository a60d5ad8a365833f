// Where tests of products run: on the fake library and the fake driver, and on
// a GPU with the real ones where there is one.
#ifndef KERNELS_CUDA_LT_TESTING_TEST_DEVICE_H_
#define KERNELS_CUDA_LT_TESTING_TEST_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/plan.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "testing/fake_cublaslt/fake_cublaslt.h"

namespace peft {
namespace kernels {
namespace cuda {

// Memory, one stream with a workspace, and the library. Errors of the driver
// fail the test. Thread-compatible.
class TestDevice {
 public:
  // The fakes. One at a time in a process.
  static std::unique_ptr<TestDevice> Fake(
      const FakeCudaOptions& options = {},
      const testing::FakeCublasLtSettings& settings = FakeSettings());
  // The first GPU, with the library in the environment's PEFT_CUBLASLT, or else
  // where the dynamic linker finds it. Fails with the reason where there is
  // none.
  static absl::StatusOr<std::unique_ptr<TestDevice>> Gpu();

  ~TestDevice();
  TestDevice(const TestDevice&) = delete;
  TestDevice& operator=(const TestDevice&) = delete;

  const Driver& driver() const { return *driver_; }
  const LtLibrary& library() const { return *library_; }
  const LtHandle& handle() const { return *handle_; }
  const LtStream& stream() const { return stream_; }
  // Null on a GPU, both.
  FakeCuda* fake_cuda() const { return fake_cuda_.get(); }
  const testing::FakeCublasLt* fake() const { return fake_.get(); }
  // What the fake library is set to.
  static testing::FakeCublasLtSettings FakeSettings();

  // Memory at a multiple of 256 that lives as long as the device.
  DevicePtr Allocate(int64_t bytes);
  // Both wait until the stream has done what it was given.
  void Write(DevicePtr to, const void* from, int64_t bytes);
  void Read(DevicePtr from, int64_t bytes, void* to);

  // Fails the test unless the driver's call has succeeded.
  void Check(Result result) const;

 private:
  TestDevice() = default;
  absl::Status Start(const std::string& library);

  // Null on a GPU, both.
  std::unique_ptr<FakeCuda> fake_cuda_;
  std::unique_ptr<testing::FakeCublasLt> fake_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<LtLibrary> library_;
  std::unique_ptr<LtHandle> handle_;
  DeviceNumber number_ = 0;
  ContextHandle context_ = nullptr;
  std::vector<DevicePtr> blocks_;
  LtStream stream_;
};

// A matrix on both sides: numbers of its dtype, as f32.
struct TestMatrix {
  DeviceMatrix device;
  std::vector<float> values;  // without gaps between rows

  float at(int64_t row, int64_t col) const {
    return values[row * device.cols + col];
  }
  // From device memory.
  void Fetch(TestDevice* device);
};

// Numbers between -1 and 1 that `dtype` can hold, rows `gap` elements further
// apart than they are long.
TestMatrix RandomMatrix(TestDevice* device, DType dtype, int64_t rows,
                        int64_t cols, int64_t gap, uint32_t seed);
// The same of NaN: what is not overwritten will show.
TestMatrix NanMatrix(TestDevice* device, DType dtype, int64_t rows,
                     int64_t cols, int64_t gap);

// f32 in device memory.
DevicePtr PutFloats(TestDevice* device, const std::vector<float>& values);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_TESTING_TEST_DEVICE_H_
