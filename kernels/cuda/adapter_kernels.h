// Our own kernels on one device. What they compute is written beside their
// parameters in kernel_args.h. All only enqueue work on the caller's stream:
// they neither wait nor allocate, and may be captured into a graph.
#ifndef KERNELS_CUDA_ADAPTER_KERNELS_H_
#define KERNELS_CUDA_ADAPTER_KERNELS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/fused_plan.h"
#include "kernels/cuda/kernel_args.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// Consecutive rows of a batch with the same terms.
struct RowGroup {
  int64_t rows = 0;
  int32_t first_term = 0;
  int32_t num_terms = 0;
};

// The groups' rows in tiles of kTileRows.
std::vector<RowTile> MakeTiles(absl::Span<const RowGroup> groups);

// Types of x and y, and of A and B: each F32, F16 or BF16.
struct KernelTypes {
  DType x = DType::kBF16;
  DType w = DType::kBF16;
};

// Thread-safe.
class AdapterKernels {
 public:
  // Keeps the device. `image` is KernelImage(). Fails with FAILED_PRECONDITION
  // (CUDA_DRIVER) where it is null or holds no code for the device.
  static absl::StatusOr<std::unique_ptr<AdapterKernels>> Load(
      const Device& device, const void* image);
  ~AdapterKernels();
  AdapterKernels(const AdapterKernels&) = delete;
  AdapterKernels& operator=(const AdapterKernels&) = delete;

  // How many splits of x fill the device, for LowRankArgs::splits: a power of
  // two that depends on sizes alone. T then has splits * rows * columns floats.
  int ChooseSplits(int64_t in, int num_tiles, int chunks) const;

  absl::Status Shrink(KernelTypes types, const ShrinkArgs& args,
                      StreamHandle stream) const;
  absl::Status Expand(KernelTypes types, const ExpandArgs& args,
                      StreamHandle stream) const;
  // For Fused, which is for F16 and BF16 alone: none for other types.
  std::optional<FusedPlan> PlanFused(KernelTypes types,
                                     const FusedShape& shape) const;
  // Both in one launch, and the base product where the output has a weight. The
  // splits of `args` and what follows its counts are taken from the plan, which
  // must be of as many rows, tiles and units.
  absl::Status Fused(DType type, const FusedPlan& plan, FusedArgs args,
                     StreamHandle stream) const;

  absl::Status Patch(DType x, const PatchArgs& args, StreamHandle stream) const;
  absl::Status ScaleInput(DType x, const ScaleInputArgs& args,
                          StreamHandle stream) const;
  absl::Status ScaleOutput(DType x, const ScaleOutputArgs& args,
                           StreamHandle stream) const;
  absl::Status Magnitude(const MagnitudeArgs& args, StreamHandle stream) const;
  absl::Status Gather(DType x, const GatherArgs& args,
                      StreamHandle stream) const;
  absl::Status GatherColumns(DType w, const GatherColumnsArgs& args,
                             StreamHandle stream) const;

 private:
  struct Grid {
    int64_t x = 1;
    int64_t y = 1;
    int64_t z = 1;
  };

  // Of two types, of one, and of none: as their names end.
  enum Operation {
    kShrink,
    kExpand,
    kPatch,
    kScaleInput,
    kScaleOutput,
    kGather,
    kGatherColumns,
    kMagnitude,
    kNumOperations
  };
  static constexpr int kNumTypes = 3;
  // For up to 8, 16 and 32 rows.
  static constexpr int kNumFused = 3;

  AdapterKernels(const Device& device, ModuleHandle module)
      : device_(device), module_(module) {}
  absl::Status FindKernels();
  absl::Status FindFused();
  absl::Status FindKernel(const std::string& name, FunctionHandle& kernel);
  // UNIMPLEMENTED for types without kernels.
  absl::StatusOr<FunctionHandle> Find(Operation operation, DType x,
                                      DType w) const;
  absl::Status Launch(Operation operation, KernelTypes types, const Grid& grid,
                      const void* args, StreamHandle stream) const;

  const Device& device_;
  const ModuleHandle module_;
  // By the types of x and of A and B; what has one type or none is at 0.
  FunctionHandle kernels_[kNumOperations][kNumTypes][kNumTypes] = {};
  FunctionHandle fused_[kNumTypes][kNumFused] = {};
  FusedLimits fused_limits_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_ADAPTER_KERNELS_H_
