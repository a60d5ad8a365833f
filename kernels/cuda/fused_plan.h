// How a fused launch is cut for a device: see FusedArgs.
#ifndef KERNELS_CUDA_FUSED_PLAN_H_
#define KERNELS_CUDA_FUSED_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/cuda/kernel_args.h"

namespace peft {
namespace kernels {
namespace cuda {

// What a launch computes, at most: tiles and terms may change before it runs.
struct FusedShape {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
  int32_t num_tiles = 0;
  // Groups of kUnitRanks ranks, each of one term, of a tile at most; 0: there
  // are no terms.
  int32_t units = 0;
};

// Of a device. Shared memory is in bytes.
struct FusedLimits {
  int multiprocessors = 0;
  int shared_per_block = 0;
  int shared_per_multiprocessor = 0;
  int shared_reserved = 0;  // of each block, by the driver
};

struct FusedPlan {
  int row_tiles = 0;
  int blocks = 0;
  int splits = 1;
  int stages = 0;
  int32_t units = 0;
  int32_t t_numbers = 0;
  size_t shared_bytes = 0;

  // Of FusedArgs::low_rank.t.
  int64_t t_floats() const { return int64_t{splits} * t_numbers; }
};

// None where the device's shared memory cannot hold what such a launch needs,
// or where it has more than kMaxFusedRows rows or rows of x that have no
// multiple of 8 elements. Depends on nothing but its arguments.
std::optional<FusedPlan> PlanFused(const FusedShape& shape,
                                   const FusedLimits& limits);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_FUSED_PLAN_H_
