#include "kernels/cuda/lt/workspace.h"

#include <cstring>

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr float kZeroOne[] = {0.0f, 1.0f};

absl::Status CopyZeroOne(const Device& device, StreamHandle stream,
                         DevicePtr to) {
  PEFT_ASSIGN_OR_RETURN(
      const PinnedBuffer staging,
      device.AllocatePinned(sizeof(kZeroOne), "two constants"));
  std::memcpy(staging.data(), kZeroOne, sizeof(kZeroOne));
  PEFT_RETURN_IF_ERROR(device.Call("copying two constants",
                                   &DriverTable::cuMemcpyHtoDAsync_v2, to,
                                   staging.data(), sizeof(kZeroOne), stream));
  return device.Call("copying two constants", &DriverTable::cuStreamSynchronize,
                     stream);
}

}  // namespace

absl::StatusOr<LtWorkspace> LtWorkspace::Create(const Device& device,
                                                StreamHandle stream,
                                                const LtSettings& settings) {
  // The constants lie behind the workspace, which is aligned as memory is.
  PEFT_ASSIGN_OR_RETURN(
      DeviceBuffer memory,
      device.Allocate(settings.workspace_bytes + sizeof(kZeroOne),
                      "a workspace of cuBLASLt"));
  LtWorkspace result(std::move(memory));
  result.stream_.stream = stream;
  result.stream_.workspace = result.memory_.address();
  result.stream_.workspace_bytes = settings.workspace_bytes;
  result.stream_.zero_one = result.memory_.address() + settings.workspace_bytes;
  PEFT_RETURN_IF_ERROR(CopyZeroOne(device, stream, result.stream_.zero_one));
  return result;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
