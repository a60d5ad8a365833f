#include "kernels/cuda/lt/testing/test_device.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kFakePath[] = "testing/fake_cublaslt/libfake_cublaslt.so";
constexpr int64_t kWorkspaceBytes = 32 << 20;

// What the fake library calls: its C interface knows no objects.
FakeCuda* the_fake_cuda = nullptr;

void Enqueue(StreamHandle stream, void (*run)(void*), void (*drop)(void*),
             void* argument) {
  const std::shared_ptr<void> owned(argument, drop);
  const bool added =
      the_fake_cuda->Enqueue(stream, [run, owned] { run(owned.get()); });
  EXPECT_TRUE(added) << "a product is on a stream that does not exist";
}

void* Resolve(const void* address, uint64_t bytes) {
  return the_fake_cuda->Resolve(reinterpret_cast<DevicePtr>(address), bytes);
}

void AddDefect(const char* text) { the_fake_cuda->AddDefect(text); }

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

testing::FakeCublasLtSettings TestDevice::FakeSettings() {
  testing::FakeCublasLtSettings settings;
  settings.enqueue = Enqueue;
  settings.resolve = Resolve;
  settings.defect = AddDefect;
  return settings;
}

std::unique_ptr<TestDevice> TestDevice::Fake(
    const FakeCudaOptions& options,
    const testing::FakeCublasLtSettings& settings) {
  std::unique_ptr<TestDevice> device(new TestDevice);
  device->fake_cuda_ = std::make_unique<FakeCuda>(options);
  device->driver_ = device->fake_cuda_->driver();
  device->fake_ = testing::FakeCublasLt::Open(kFakePath);
  the_fake_cuda = device->fake_cuda_.get();
  device->fake_->Set(settings);
  const absl::Status status = device->Start(kFakePath);
  EXPECT_TRUE(status.ok()) << status;
  return device;
}

absl::StatusOr<std::unique_ptr<TestDevice>> TestDevice::Gpu() {
  std::unique_ptr<TestDevice> device(new TestDevice);
  PEFT_ASSIGN_OR_RETURN(device->driver_, Driver::Open());
  const char* const path = std::getenv("PEFT_CUBLASLT");
  PEFT_RETURN_IF_ERROR(device->Start(path == nullptr ? "" : path));
  return device;
}

absl::Status TestDevice::Start(const std::string& library) {
  PEFT_ASSIGN_OR_RETURN(library_, LtLibrary::Open(library));
  Check(driver()->cuDeviceGet(&number_, 0));
  Check(driver()->cuDevicePrimaryCtxRetain(&context_, number_));
  Check(driver()->cuCtxPushCurrent_v2(context_));
  PEFT_ASSIGN_OR_RETURN(handle_, LtHandle::Create(*library_));
  Check(driver()->cuStreamCreate(&stream_.stream, kStreamNonBlocking));
  stream_.workspace = Allocate(kWorkspaceBytes);
  stream_.workspace_bytes = kWorkspaceBytes;
  stream_.zero_one = PutFloats(this, {0.0f, 1.0f});
  return absl::OkStatus();
}

TestDevice::~TestDevice() {
  handle_.reset();
  if (stream_.stream != nullptr) {
    Check(driver()->cuStreamSynchronize(stream_.stream));
    Check(driver()->cuStreamDestroy_v2(stream_.stream));
  }
  for (DevicePtr block : blocks_) Check(driver()->cuMemFree_v2(block));
  if (context_ != nullptr) {
    Check(driver()->cuCtxPopCurrent_v2(&context_));
    Check(driver()->cuDevicePrimaryCtxRelease_v2(number_));
  }
  if (fake_ != nullptr) fake_->Set({});
}

void TestDevice::Check(Result result) const {
  const absl::Status status = driver_->Check(result, "testing");
  EXPECT_TRUE(status.ok()) << status;
}

DevicePtr TestDevice::Allocate(int64_t bytes) {
  DevicePtr block = 0;
  Check(driver()->cuMemAlloc_v2(&block, bytes));
  blocks_.push_back(block);
  return block;
}

void TestDevice::Write(DevicePtr to, const void* from, int64_t bytes) {
  Check(driver()->cuMemcpyHtoDAsync_v2(to, from, bytes, stream_.stream));
  Check(driver()->cuStreamSynchronize(stream_.stream));
}

void TestDevice::Read(DevicePtr from, int64_t bytes, void* to) {
  Check(driver()->cuMemcpyDtoHAsync_v2(to, from, bytes, stream_.stream));
  Check(driver()->cuStreamSynchronize(stream_.stream));
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
