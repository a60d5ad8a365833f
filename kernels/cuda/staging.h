// Memory of the host that is copied to a device over and over.
#ifndef KERNELS_CUDA_STAGING_H_
#define KERNELS_CUDA_STAGING_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/device.h"

namespace peft {
namespace kernels {
namespace cuda {

// Pinned memory, and when the device has read it. Keeps the device. Thread-
// compatible.
class Staging {
 public:
  // None: only to be assigned to.
  Staging() = default;
  // `what` as in Device::Allocate.
  static absl::StatusOr<Staging> Create(const Device& device, size_t bytes,
                                        absl::string_view what);
  // Waits for the copy that was put on a stream last.
  ~Staging();
  Staging(Staging&&) = default;
  Staging& operator=(Staging&&) = default;

  bool empty() const { return device_ == nullptr; }

  // Where to write what is copied next: waits until the device has read what is
  // there.
  absl::StatusOr<char*> Begin() const;
  // Puts a copy of the first `bytes` on the stream. `what` as in Driver::Check.
  absl::Status CopyTo(DevicePtr to, size_t bytes, StreamHandle stream,
                      absl::string_view what) const;

 private:
  const Device* device_ = nullptr;
  PinnedBuffer buffer_;
  Event read_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_STAGING_H_
