// Rows of several adapters, by cuBLASLt alone: its base, and products of
// groups.
#ifndef BENCHMARKS_CUDA_GROUPED_SIDE_H_
#define BENCHMARKS_CUDA_GROUPED_SIDE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/lt_side.h"
#include "kernels/cuda/lt/grouped_low_rank.h"

namespace peft {

class GroupedSide : public Side {
 public:
  // Keeps both. Forward of one layer.
  static absl::StatusOr<std::unique_ptr<GroupedSide>> Create(
      const CudaBench& bench, const LayerInputs& inputs);

  absl::Status Run() override;
  kernels::cuda::StreamHandle stream() const override;
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override;

  // Beside the base's.
  int num_launches() const { return low_rank_.num_launches(); }

 private:
  explicit GroupedSide(const CudaBench& bench) : bench_(bench) {}
  absl::Status Plan(const LayerInputs& inputs);

  const CudaBench& bench_;
  BenchMemory memory_;
  std::unique_ptr<LtSide> base_;
  kernels::cuda::GroupedLowRank low_rank_;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_GROUPED_SIDE_H_
