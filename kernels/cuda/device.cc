#include "kernels/cuda/device.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

absl::Status OutOfMemory(const Device& device, size_t bytes,
                         absl::string_view what) {
  size_t free = 0;
  size_t total = 0;
  device.driver()->cuMemGetInfo_v2(&free, &total);
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
      absl::StrCat(what, " needs ", bytes, " bytes on CUDA device ",
                   device.ordinal(), " (", device.name(), "), where ", free,
                   " of ", total, " are free; free some and call again"),
      {"", absl::StrCat(bytes), absl::StrCat(free)});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> Device::Open(const Driver& driver,
                                                     int ordinal) {
  if (ordinal < 0 || ordinal >= driver.num_devices()) {
    return ArgumentError(absl::StrCat("there is no CUDA device ", ordinal,
                                      ": the driver finds ",
                                      driver.num_devices()));
  }
  std::unique_ptr<Device> device(new Device(driver, ordinal));
  PEFT_RETURN_IF_ERROR(device->Initialize());
  return device;
}

absl::Status Device::Initialize() {
  char name[256] = {};
  PEFT_RETURN_IF_ERROR(
      driver_.Check(driver_->cuDeviceGetName(name, sizeof(name), number_),
                    "asking for a CUDA device's name"));
  name_ = name;
  PEFT_ASSIGN_OR_RETURN(multiprocessors_, Attribute(kMultiprocessorCount));
  PEFT_ASSIGN_OR_RETURN(const int major, Attribute(kComputeCapabilityMajor));
  PEFT_ASSIGN_OR_RETURN(const int minor, Attribute(kComputeCapabilityMinor));
  capability_ = 10 * major + minor;
  return driver_.Check(driver_->cuDevicePrimaryCtxRetain(&context_, number_),
                       absl::StrCat("starting CUDA device ", number_));
}

Device::~Device() {
  if (context_ != nullptr) driver_->cuDevicePrimaryCtxRelease_v2(number_);
}

absl::StatusOr<int> Device::Attribute(int attribute) const {
  int value = 0;
  PEFT_RETURN_IF_ERROR(driver_.Check(
      driver_->cuDeviceGetAttribute(&value, attribute, number_),
      absl::StrCat("asking for attribute ", attribute, " of a CUDA device")));
  return value;
}

absl::StatusOr<DeviceBuffer> Device::Allocate(size_t bytes,
                                              absl::string_view what) const {
  const DeviceScope scope(*this);
  PEFT_RETURN_IF_ERROR(scope.status());
  DevicePtr address = 0;
  const Result result = driver_->cuMemAlloc_v2(&address, bytes);
  if (result == kOutOfMemory) return OutOfMemory(*this, bytes, what);
  PEFT_RETURN_IF_ERROR(driver_.Check(
      result, absl::StrCat("allocating ", bytes, " bytes for ", what)));
  return DeviceBuffer(*this, address, bytes);
}

absl::StatusOr<PinnedBuffer> Device::AllocatePinned(
    size_t bytes, absl::string_view what) const {
  const DeviceScope scope(*this);
  PEFT_RETURN_IF_ERROR(scope.status());
  void* data = nullptr;
  PEFT_RETURN_IF_ERROR(driver_.Check(
      driver_->cuMemHostAlloc(&data, bytes, 0),
      absl::StrCat("allocating ", bytes, " pinned bytes for ", what)));
  return PinnedBuffer(*this, data, bytes);
}

absl::StatusOr<Stream> Device::CreateStream() const {
  const DeviceScope scope(*this);
  PEFT_RETURN_IF_ERROR(scope.status());
  StreamHandle handle = nullptr;
  PEFT_RETURN_IF_ERROR(
      driver_.Check(driver_->cuStreamCreate(&handle, kStreamNonBlocking),
                    "creating a CUDA stream"));
  return Stream(*this, handle);
}

absl::StatusOr<Event> Device::CreateEvent() const {
  const DeviceScope scope(*this);
  PEFT_RETURN_IF_ERROR(scope.status());
  EventHandle handle = nullptr;
  PEFT_RETURN_IF_ERROR(
      driver_.Check(driver_->cuEventCreate(&handle, kEventDisableTiming),
                    "creating a CUDA event"));
  return Event(*this, handle);
}

DeviceScope::DeviceScope(const Device& device)
    : device_(device),
      status_(device.driver().Check(
          device.driver()->cuCtxPushCurrent_v2(device.context_),
          "entering a CUDA device")) {}

DeviceScope::~DeviceScope() {
  ContextHandle context = nullptr;
  if (status_.ok()) device_.driver()->cuCtxPopCurrent_v2(&context);
}

DeviceBuffer::~DeviceBuffer() {
  if (handle_ == 0) return;
  const DeviceScope scope(*device_);
  device_->driver()->cuMemFree_v2(handle_);
}

PinnedBuffer::~PinnedBuffer() {
  if (handle_ == nullptr) return;
  const DeviceScope scope(*device_);
  device_->driver()->cuMemFreeHost(handle_);
}

Stream::~Stream() {
  if (handle_ == nullptr) return;
  const DeviceScope scope(*device_);
  device_->driver()->cuStreamDestroy_v2(handle_);
}

absl::Status Stream::Synchronize() const {
  const DeviceScope scope(*device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_->driver();
  return driver.Check(driver->cuStreamSynchronize(handle_),
                      "waiting for a CUDA stream");
}

Event::~Event() {
  if (handle_ == nullptr) return;
  const DeviceScope scope(*device_);
  device_->driver()->cuEventDestroy_v2(handle_);
}

absl::Status Event::Record(StreamHandle stream) const {
  const DeviceScope scope(*device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_->driver();
  return driver.Check(driver->cuEventRecord(handle_, stream),
                      "recording a CUDA event");
}

absl::Status Event::MakeWait(StreamHandle stream) const {
  const DeviceScope scope(*device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_->driver();
  return driver.Check(driver->cuStreamWaitEvent(stream, handle_, 0),
                      "making a CUDA stream wait");
}

absl::Status Event::Synchronize() const {
  const DeviceScope scope(*device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  const Driver& driver = device_->driver();
  return driver.Check(driver->cuEventSynchronize(handle_),
                      "waiting for a CUDA event");
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
