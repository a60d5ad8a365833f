// One GPU: its memory, streams and events, as objects that clean up.
#ifndef KERNELS_CUDA_DEVICE_H_
#define KERNELS_CUDA_DEVICE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/driver.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {

class DeviceBuffer;
class Event;
class PinnedBuffer;
class Stream;

// A device's primary context, which it shares with libtorch and other users of
// CUDA's runtime in the process. Thread-safe. Outlives all that it has made.
class Device {
 public:
  // Keeps the driver. `ordinal` is CUDA's number of the device.
  static absl::StatusOr<std::unique_ptr<Device>> Open(const Driver& driver,
                                                      int ordinal);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Driver& driver() const { return driver_; }
  int ordinal() const { return number_; }
  const std::string& name() const { return name_; }
  int multiprocessors() const { return multiprocessors_; }
  // 10 * major + minor of the compute capability: 90 for H100.
  int capability() const { return capability_; }
  // A CUdevice_attribute.
  absl::StatusOr<int> Attribute(int attribute) const;

  // `what` is a noun phrase for the error: "the workspace". Where memory is out
  // that says how much was asked for and how much is free.
  absl::StatusOr<DeviceBuffer> Allocate(size_t bytes,
                                        absl::string_view what) const;
  // Memory of the host that the device copies from and to by itself.
  absl::StatusOr<PinnedBuffer> AllocatePinned(size_t bytes,
                                              absl::string_view what) const;
  absl::StatusOr<Stream> CreateStream() const;
  absl::StatusOr<Event> CreateEvent() const;

  // Calls a function of the driver on this device; `what` as in Driver::Check.
  // For one call: several share a DeviceScope.
  template <typename... Parameters, typename... Arguments>
  absl::Status Call(absl::string_view what,
                    Result (*DriverTable::*function)(Parameters...),
                    Arguments... arguments) const;

 private:
  friend class DeviceScope;

  Device(const Driver& driver, int number) : driver_(driver), number_(number) {}
  absl::Status Initialize();

  const Driver& driver_;
  const DeviceNumber number_;
  ContextHandle context_ = nullptr;
  std::string name_;
  int multiprocessors_ = 0;
  int capability_ = 0;
};

// Makes the device the calling thread's while it lives; afterwards it is the
// one that was before. Every call of the driver needs one.
class DeviceScope {
 public:
  explicit DeviceScope(const Device& device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  const Device& device_;
  absl::Status status_;
};

template <typename... Parameters, typename... Arguments>
absl::Status Device::Call(absl::string_view what,
                          Result (*DriverTable::*function)(Parameters...),
                          Arguments... arguments) const {
  const DeviceScope scope(*this);
  PEFT_RETURN_IF_ERROR(scope.status());
  return driver_.Check((driver_.table().*function)(arguments...), what);
}

// A handle of the driver and the device that it belongs to; 0 where it was
// moved from. What the four classes below share.
template <typename Handle>
class DeviceObject {
 public:
  DeviceObject() = default;
  DeviceObject(const Device& device, Handle handle)
      : device_(&device), handle_(handle) {}
  DeviceObject(DeviceObject&& other) noexcept
      : device_(other.device_), handle_(std::exchange(other.handle_, {})) {}
  // Swaps, so that what was here is freed with the other.
  DeviceObject& operator=(DeviceObject&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }

 protected:
  ~DeviceObject() = default;

  const Device* device_ = nullptr;
  Handle handle_ = {};
};

// Memory of the device. Freeing it waits for the device.
class DeviceBuffer : public DeviceObject<DevicePtr> {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const Device& device, DevicePtr address, size_t bytes)
      : DeviceObject(device, address), bytes_(bytes) {}
  DeviceBuffer(DeviceBuffer&&) = default;
  DeviceBuffer& operator=(DeviceBuffer&&) = default;
  ~DeviceBuffer();

  DevicePtr address() const { return handle_; }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

class PinnedBuffer : public DeviceObject<void*> {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(const Device& device, void* data, size_t bytes)
      : DeviceObject(device, data), bytes_(bytes) {}
  PinnedBuffer(PinnedBuffer&&) = default;
  PinnedBuffer& operator=(PinnedBuffer&&) = default;
  ~PinnedBuffer();

  char* data() const { return static_cast<char*>(handle_); }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

// A stream that does not wait for the default one.
class Stream : public DeviceObject<StreamHandle> {
 public:
  using DeviceObject::DeviceObject;
  Stream(Stream&&) = default;
  Stream& operator=(Stream&&) = default;
  ~Stream();

  StreamHandle handle() const { return handle_; }
  absl::Status Synchronize() const;
};

// An event that measures no time.
class Event : public DeviceObject<EventHandle> {
 public:
  using DeviceObject::DeviceObject;
  Event(Event&&) = default;
  Event& operator=(Event&&) = default;
  ~Event();

  EventHandle handle() const { return handle_; }
  absl::Status Record(StreamHandle stream) const;
  // The stream goes on when what was recorded last has been done.
  absl::Status MakeWait(StreamHandle stream) const;
  // The caller waits.
  absl::Status Synchronize() const;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_DEVICE_H_
