#include "kernels/cuda/lt/testing/test_device.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "gtest/gtest.h"
#include "kernels/cuda/driver.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kFakePath[] = "testing/fake_cublaslt/libfake_cublaslt.so";
constexpr int64_t kAlignment = 256;
constexpr int64_t kWorkspaceBytes = 32 << 20;

class FakeDevice : public TestDevice {
 public:
  FakeDevice() {
    fake_ = testing::FakeCublasLt::Open(kFakePath);
    library_ = LtLibrary::Open(kFakePath).value();
    handle_ = LtHandle::Create(*library_).value();
    stream_.workspace = Allocate(kWorkspaceBytes);
    stream_.workspace_bytes = kWorkspaceBytes;
    stream_.zero_one = PutFloats(this, {0.0f, 1.0f});
  }

  testing::FakeCublasLt* fake() override { return fake_.get(); }
  LtStream stream() override { return stream_; }

  DevicePtr Allocate(int64_t bytes) override {
    // As large as asked for: the sanitizer sees what lies behind it.
    blocks_.emplace_back(static_cast<char*>(
        ::operator new(bytes, std::align_val_t(kAlignment))));
    return reinterpret_cast<DevicePtr>(blocks_.back().get());
  }
  void Write(DevicePtr to, const void* from, int64_t bytes) override {
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  }
  void Read(DevicePtr from, int64_t bytes, void* to) override {
    std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  }

 private:
  struct Delete {
    void operator()(char* block) const {
      ::operator delete(block, std::align_val_t(kAlignment));
    }
  };
  std::unique_ptr<testing::FakeCublasLt> fake_;
  std::vector<std::unique_ptr<char, Delete>> blocks_;
  LtStream stream_;
};

// Errors of the driver end the test: nothing is left to be tested.
class GpuDevice : public TestDevice {
 public:
  static absl::StatusOr<std::unique_ptr<TestDevice>> Open() {
    std::unique_ptr<GpuDevice> device(new GpuDevice);
    PEFT_ASSIGN_OR_RETURN(device->driver_, Driver::Open());
    const char* const path = std::getenv("PEFT_CUBLASLT");
    PEFT_ASSIGN_OR_RETURN(device->library_,
                          LtLibrary::Open(path == nullptr ? "" : path));
    device->Start();
    PEFT_ASSIGN_OR_RETURN(device->handle_, LtHandle::Create(*device->library_));
    return device;
  }

  ~GpuDevice() override {
    handle_.reset();
    if (context_ == nullptr) return;
    for (DevicePtr block : blocks_) driver()->cuMemFree_v2(block);
    driver()->cuStreamDestroy_v2(stream_.stream);
    driver()->cuCtxPopCurrent_v2(&context_);
    driver()->cuDevicePrimaryCtxRelease_v2(number_);
  }

  LtStream stream() override { return stream_; }

  DevicePtr Allocate(int64_t bytes) override {
    DevicePtr block = 0;
    Check(driver()->cuMemAlloc_v2(&block, bytes));
    blocks_.push_back(block);
    return block;
  }
  void Write(DevicePtr to, const void* from, int64_t bytes) override {
    Check(driver()->cuMemcpyHtoDAsync_v2(to, from, bytes, stream_.stream));
    Check(driver()->cuStreamSynchronize(stream_.stream));
  }
  void Read(DevicePtr from, int64_t bytes, void* to) override {
    Check(driver()->cuMemcpyDtoHAsync_v2(to, from, bytes, stream_.stream));
    Check(driver()->cuStreamSynchronize(stream_.stream));
  }

 private:
  const Driver& driver() const { return *driver_; }
  void Check(Result result) const {
    const absl::Status status = driver_->Check(result, "testing");
    ASSERT_TRUE(status.ok()) << status;
  }

  void Start() {
    Check(driver()->cuDeviceGet(&number_, 0));
    Check(driver()->cuDevicePrimaryCtxRetain(&context_, number_));
    Check(driver()->cuCtxPushCurrent_v2(context_));
    Check(driver()->cuStreamCreate(&stream_.stream, kStreamNonBlocking));
    stream_.workspace = Allocate(kWorkspaceBytes);
    stream_.workspace_bytes = kWorkspaceBytes;
    stream_.zero_one = PutFloats(this, {0.0f, 1.0f});
  }

  std::unique_ptr<Driver> driver_;
  DeviceNumber number_ = 0;
  ContextHandle context_ = nullptr;
  std::vector<DevicePtr> blocks_;
  LtStream stream_;
};

int64_t BytesOf(const DeviceMatrix& matrix) {
  return ((matrix.rows - 1) * matrix.stride + matrix.cols) *
         DTypeSize(matrix.dtype);
}

// Puts `values` into new memory of the device, NaN into the gaps.
TestMatrix Put(TestDevice* device, DType dtype, int64_t rows, int64_t cols,
               int64_t gap, std::vector<float> values) {
  TestMatrix matrix;
  matrix.device = {0, dtype, rows, cols, cols + gap};
  const int64_t bytes = BytesOf(matrix.device);
  std::vector<char> copy(bytes, '\xff');  // NaN in all dtypes
  const int64_t step = matrix.device.stride * DTypeSize(dtype);
  for (int64_t row = 0; row < rows; ++row) {
    ConvertFromF32(&values[row * cols], cols, dtype, &copy[row * step]);
    ConvertToF32(dtype, &copy[row * step], cols, &values[row * cols]);
  }
  matrix.values = std::move(values);
  matrix.device.data = device->Allocate(bytes);
  device->Write(matrix.device.data, copy.data(), bytes);
  return matrix;
}

}  // namespace

std::unique_ptr<TestDevice> TestDevice::Fake() {
  return std::make_unique<FakeDevice>();
}

absl::StatusOr<std::unique_ptr<TestDevice>> TestDevice::Gpu() {
  return GpuDevice::Open();
}

void TestMatrix::Fetch(TestDevice* from) {
  std::vector<char> copy(BytesOf(device));
  from->Read(device.data, static_cast<int64_t>(copy.size()), copy.data());
  const int64_t step = device.stride * DTypeSize(device.dtype);
  for (int64_t row = 0; row < device.rows; ++row) {
    ConvertToF32(device.dtype, &copy[row * step], device.cols,
                 &values[row * device.cols]);
  }
}

TestMatrix RandomMatrix(TestDevice* device, DType dtype, int64_t rows,
                        int64_t cols, int64_t gap, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(rows * cols);
  for (float& value : values) value = uniform(random);
  return Put(device, dtype, rows, cols, gap, std::move(values));
}

TestMatrix NanMatrix(TestDevice* device, DType dtype, int64_t rows,
                     int64_t cols, int64_t gap) {
  return Put(
      device, dtype, rows, cols, gap,
      std::vector<float>(rows * cols, std::numeric_limits<float>::quiet_NaN()));
}

DevicePtr PutFloats(TestDevice* device, const std::vector<float>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(float));
  const DevicePtr data = device->Allocate(bytes);
  device->Write(data, values.data(), bytes);
  return data;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
