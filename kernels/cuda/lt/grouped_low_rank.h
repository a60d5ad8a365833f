// Adapters of groups of rows, many rows each: T_g = x_g A_g^T, then y_g += T_g
// B_g^T, in two launches where cuBLASLt multiplies groups on the device, else
// in two for each group. Few rows, and many small groups, are for our own
// kernels.
#ifndef KERNELS_CUDA_LT_GROUPED_LOW_RANK_H_
#define KERNELS_CUDA_LT_GROUPED_LOW_RANK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/grouped_gemm.h"
#include "kernels/cuda/lt/launches.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {
namespace kernels {
namespace cuda {

// Rows of a batch and their adapter. Ranks are padded (pack.h), and the scale
// is in `b`: on some devices all groups have one alpha.
struct LowRankGroup {
  DeviceMatrix x;  // (rows, in)
  DeviceMatrix a;  // (rank, in)
  DeviceMatrix t;  // scratch, (rows, rank), of x's dtype
  DeviceMatrix b;  // (out, rank)
  DeviceMatrix y;  // (rows, out)
};

// Immutable, thread-safe.
class GroupedLowRank {
 public:
  // What is to be in device memory at `table` before a run.
  static std::vector<uint64_t> Table(absl::Span<const LowRankGroup> groups);

  // Memory is the caller's and must outlive what is planned with it, the table
  // too. INVALID_ARGUMENT (ARGUMENT) for shapes that contradict each other,
  // UNIMPLEMENTED for dtypes that cuBLASLt cannot multiply.
  static absl::StatusOr<GroupedLowRank> Plan(
      PlanCache* cache, absl::Span<const LowRankGroup> groups, DevicePtr table);

  // Puts the products on the stream. Allocates nothing, takes no lock.
  absl::Status Run(const LtStream& stream) const;

  int num_launches() const {
    return static_cast<int>(grouped_.size()) + each_.size();
  }

 private:
  // The first two of all groups; or each group's, one after the other.
  std::vector<GroupedGemm> grouped_;
  Launches each_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_GROUPED_LOW_RANK_H_
