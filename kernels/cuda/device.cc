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
  void* data = nullptr;
  PEFT_RETURN_IF_ERROR(
      Call(absl::StrCat("allocating ", bytes, " pinned bytes for ", what),
           &DriverTable::cuMemHostAlloc, &data, bytes, 0));
  return PinnedBuffer(*this, data, bytes);
}

absl::StatusOr<Stream> Device::CreateStream() const {
  StreamHandle handle = nullptr;
  PEFT_RETURN_IF_ERROR(Call("creating a CUDA stream",
                            &DriverTable::cuStreamCreate, &handle,
                            kStreamNonBlocking));
  return Stream(*this, handle);
}

absl::StatusOr<Event> Device::CreateEvent() const {
  EventHandle handle = nullptr;
  PEFT_RETURN_IF_ERROR(Call("creating a CUDA event",
                            &DriverTable::cuEventCreate, &handle,
                            kEventDisableTiming));
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
  return device_->Call("waiting for a CUDA stream",
                       &DriverTable::cuStreamSynchronize, handle_);
}

Event::~Event() {
  if (handle_ == nullptr) return;
  const DeviceScope scope(*device_);
  device_->driver()->cuEventDestroy_v2(handle_);
}

absl::Status Event::Record(StreamHandle stream) const {
  return device_->Call("recording a CUDA event", &DriverTable::cuEventRecord,
                       handle_, stream);
}

absl::Status Event::MakeWait(StreamHandle stream) const {
  return device_->Call("making a CUDA stream wait",
                       &DriverTable::cuStreamWaitEvent, stream, handle_, 0);
}

absl::Status Event::Synchronize() const {
  return device_->Call("waiting for a CUDA event",
                       &DriverTable::cuEventSynchronize, handle_);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
