// A device for a test, and what it computes with: the fake one, whose threads
// run forwards or backwards, or a real GPU where there is one.
#ifndef KERNELS_CUDA_TESTING_DEVICE_CASE_H_
#define KERNELS_CUDA_TESTING_DEVICE_CASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

enum class Machine { kForwards, kBackwards, kGpu };
std::string MachineName(const testing::TestParamInfo<Machine>& info);

using Random = std::mt19937;

// A row-major matrix on the host, `stride` elements from row to row, of normal
// values that are rounded to the dtype; NaN between the rows.
class HostMatrix {
 public:
  HostMatrix(DType dtype, int64_t rows, int64_t cols, int64_t stride,
             Random& random);
  HostMatrix(DType dtype, int64_t rows, int64_t cols, Random& random)
      : HostMatrix(dtype, rows, cols, cols, random) {}

  DType dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }
  float At(int64_t row, int64_t col) const {
    return values_[row * stride_ + col];
  }
  void Set(int64_t row, int64_t col, float value);
  // As the device has it.
  std::vector<char> Bytes() const;
  void FromBytes(const std::vector<char>& bytes);

 private:
  DType dtype_;
  int64_t rows_;
  int64_t cols_;
  int64_t stride_;
  std::vector<float> values_;
};

class DeviceCase {
 public:
  explicit DeviceCase(Machine machine);
  ~DeviceCase();

  // Why there is no such device: skip the test. "" where there is.
  const std::string& missing() const { return missing_; }
  const Device& device() const { return *device_; }
  const AdapterKernels& kernels() const { return *kernels_; }
  StreamHandle stream() const { return stream_.handle(); }
  FakeCuda* fake() { return fake_ ? &*fake_ : nullptr; }

  // Memory that lives as long as the case. `shift` bytes from where it would
  // be aligned.
  DevicePtr Upload(const void* data, size_t bytes, size_t shift = 0);
  DevicePtr Upload(const HostMatrix& matrix, size_t shift = 0);
  template <typename T>
  DevicePtr Upload(const std::vector<T>& values) {
    return Upload(values.data(), values.size() * sizeof(T));
  }
  // Full of NaN.
  DevicePtr Allocate(size_t bytes);
  // Waits for the stream.
  std::vector<char> Download(DevicePtr address, size_t bytes);
  void Download(DevicePtr address, HostMatrix& matrix);

 private:
  std::string missing_;
  std::optional<FakeCuda> fake_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<AdapterKernels> kernels_;
  Stream stream_;
  std::vector<DeviceBuffer> buffers_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_DEVICE_CASE_H_
