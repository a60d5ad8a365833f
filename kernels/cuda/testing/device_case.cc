#include "kernels/cuda/testing/device_case.h"

#include <cmath>
#include <limits>
#include <utility>

#include "kernels/cuda/kernel_image.h"
#include "kernels/cuda/testing/emulated_kernels.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

FakeCudaOptions Options(Machine machine) {
  FakeCudaOptions options;
  options.kernels = &EmulatedKernels();
  options.backwards = machine == Machine::kBackwards;
  return options;
}

float Rounded(DType dtype, float value) {
  char bytes[sizeof(float)] = {};
  EXPECT_TRUE(ConvertFromF32(&value, 1, dtype, bytes));
  EXPECT_TRUE(ConvertToF32(dtype, bytes, 1, &value));
  return value;
}

}  // namespace

std::string MachineName(const testing::TestParamInfo<Machine>& info) {
  switch (info.param) {
    case Machine::kForwards:
      return "Forwards";
    case Machine::kBackwards:
      return "Backwards";
    default:
      return "Gpu";
  }
}

HostMatrix::HostMatrix(DType dtype, int64_t rows, int64_t cols, int64_t stride,
                       Random& random)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      stride_(stride),
      values_(rows * stride, std::numeric_limits<float>::quiet_NaN()) {
  std::normal_distribution<float> normal;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) Set(row, col, normal(random));
  }
}

void HostMatrix::Set(int64_t row, int64_t col, float value) {
  values_[row * stride_ + col] = Rounded(dtype_, value);
}

std::vector<char> HostMatrix::Bytes() const {
  std::vector<char> bytes(values_.size() * DTypeSize(dtype_));
  EXPECT_TRUE(
      ConvertFromF32(values_.data(), values_.size(), dtype_, bytes.data()));
  return bytes;
}

void HostMatrix::FromBytes(const std::vector<char>& bytes) {
  EXPECT_TRUE(
      ConvertToF32(dtype_, bytes.data(), values_.size(), values_.data()));
}

DeviceCase::DeviceCase(Machine machine) {
  if (machine == Machine::kGpu) {
    auto driver = Driver::Open();
    if (driver.ok()) driver_ = *std::move(driver);
    if (!driver.ok()) missing_ = std::string(driver.status().message());
    if (KernelImage() == nullptr) missing_ = "built without --config=cuda";
    if (!missing_.empty()) return;
  } else {
    fake_.emplace(Options(machine));
    driver_ = fake_->driver();
  }
  auto device = Device::Open(*driver_, 0);
  EXPECT_TRUE(device.ok()) << device.status();
  device_ = *std::move(device);
  constexpr char kAnyImage[] = "the fake's modules all hold the same";
  auto kernels = AdapterKernels::Load(
      *device_, machine == Machine::kGpu ? KernelImage() : kAnyImage);
  EXPECT_TRUE(kernels.ok()) << kernels.status();
  kernels_ = *std::move(kernels);
  auto stream = device_->CreateStream();
  EXPECT_TRUE(stream.ok()) << stream.status();
  stream_ = *std::move(stream);
}

DeviceCase::~DeviceCase() {
  if (!missing_.empty()) return;
  EXPECT_TRUE(stream_.Synchronize().ok());
}

DevicePtr DeviceCase::Allocate(size_t bytes) {
  auto buffer = device_->Allocate(bytes == 0 ? 1 : bytes, "a test");
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  buffers_.push_back(*std::move(buffer));
  const DevicePtr address = buffers_.back().address();
  const DeviceScope scope(*device_);
  EXPECT_EQ((*driver_)->cuMemsetD8Async(address, 0xff, buffers_.back().bytes(),
                                        stream()),
            kSuccess);
  return address;
}

DevicePtr DeviceCase::Upload(const void* data, size_t bytes, size_t shift) {
  const DevicePtr address = Allocate(bytes + shift) + shift;
  const DeviceScope scope(*device_);
  EXPECT_EQ((*driver_)->cuMemcpyHtoDAsync_v2(address, data, bytes, stream()),
            kSuccess);
  return address;
}

DevicePtr DeviceCase::Upload(const HostMatrix& matrix, size_t shift) {
  const std::vector<char> bytes = matrix.Bytes();
  return Upload(bytes.data(), bytes.size(), shift);
}

std::vector<char> DeviceCase::Download(DevicePtr address, size_t bytes) {
  std::vector<char> result(bytes);
  const DeviceScope scope(*device_);
  EXPECT_EQ(
      (*driver_)->cuMemcpyDtoHAsync_v2(result.data(), address, bytes, stream()),
      kSuccess);
  EXPECT_TRUE(stream_.Synchronize().ok());
  return result;
}

void DeviceCase::Download(DevicePtr address, HostMatrix& matrix) {
  matrix.FromBytes(Download(
      address, matrix.rows() * matrix.stride() * DTypeSize(matrix.dtype())));
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
