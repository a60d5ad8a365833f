#include "kernels/cuda/staging.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {

absl::StatusOr<Staging> Staging::Create(const Device& device, size_t bytes,
                                        absl::string_view what) {
  Staging staging;
  PEFT_ASSIGN_OR_RETURN(staging.buffer_, device.AllocatePinned(bytes, what));
  PEFT_ASSIGN_OR_RETURN(staging.read_, device.CreateEvent());
  staging.device_ = &device;
  return staging;
}

Staging::~Staging() {
  // What was moved from, or could not be made, has nothing to wait for.
  if (read_.handle() != nullptr) (void)read_.Synchronize();
}

absl::StatusOr<char*> Staging::Begin() const {
  PEFT_RETURN_IF_ERROR(read_.Synchronize());
  return buffer_.data();
}

absl::Status Staging::CopyTo(DevicePtr to, size_t bytes, StreamHandle stream,
                             absl::string_view what) const {
  PEFT_RETURN_IF_ERROR(device_->Call(what, &DriverTable::cuMemcpyHtoDAsync_v2,
                                     to, buffer_.data(), bytes, stream));
  return read_.Record(stream);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
