// The memory that products of one stream use beside their operands.
#ifndef KERNELS_CUDA_LT_WORKSPACE_H_
#define KERNELS_CUDA_LT_WORKSPACE_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/plan.h"

namespace peft {
namespace kernels {
namespace cuda {

// Belongs to one stream. Keeps the device.
class LtWorkspace {
 public:
  // Waits for the device, once. RESOURCE_EXHAUSTED (OUT_OF_MEMORY) where there
  // is no room.
  static absl::StatusOr<LtWorkspace> Create(const Device& device,
                                            StreamHandle stream,
                                            const LtSettings& settings);

  const LtStream& stream() const { return stream_; }

 private:
  explicit LtWorkspace(DeviceBuffer memory) : memory_(std::move(memory)) {}

  DeviceBuffer memory_;
  LtStream stream_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_WORKSPACE_H_
