// The factors of adapters in host memory, brought into the form that products
// of the device want: stacked, padded, of one dtype. A slot has a place for
// each of some adapters; filling it again, with adapters of the same or lower
// ranks, changes no address, so that a captured graph stays valid.
#ifndef KERNELS_CUDA_LT_PACK_H_
#define KERNELS_CUDA_LT_PACK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// The next rank whose rows of T and B are multiples of 16 bytes: the library's
// fast algorithms want no less.
int64_t PaddedRank(int64_t rank, DType dtype);

// Room for some adapters at one layer: A is (ranks, in), B is (out, ranks), and
// a scale for each rank.
struct FactorSlot {
  DType dtype = DType::kBF16;  // F32, F16 or BF16
  int64_t in = 0;
  int64_t out = 0;
  std::vector<int64_t> ranks;  // of each adapter, padded
  // Scales are multiplied into B, and those beside it are 1: then all adapters
  // are one RankGroup, and take one launch on every device.
  bool fold_scales = false;

  int64_t total_rank() const;
  int64_t a_bytes() const { return total_rank() * in * DTypeSize(dtype); }
  int64_t b_bytes() const { return out * total_rank() * DTypeSize(dtype); }
  int64_t scale_bytes() const {
    return total_rank() * static_cast<int64_t>(sizeof(float));
  }
};

// Writes `segments` to memory of the slot's sizes; places without a segment,
// and ranks that only fill up, become 0 (with fold_scales, their scales are 1).
// A scale times rank_scale goes into `scales`. INVALID_ARGUMENT (ARGUMENT)
// where a segment does not fit its place, UNIMPLEMENTED for one with a gate,
// which own kernels compute.
absl::Status PackFactors(const FactorSlot& slot,
                         absl::Span<const LowRankSegment> segments, void* a,
                         void* b, float* scales);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_PACK_H_
