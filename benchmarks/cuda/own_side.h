// A layer's adapters by our own kernels: with the base product in one launch
// for few rows of one adapter, else beside cuBLASLt's base.
#ifndef BENCHMARKS_CUDA_OWN_SIDE_H_
#define BENCHMARKS_CUDA_OWN_SIDE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/lt_side.h"
#include "kernels/cuda/kernel_args.h"

namespace peft {

class OwnSide : public Side {
 public:
  // Keeps both. Forward alone.
  static absl::StatusOr<std::unique_ptr<OwnSide>> Create(
      const CudaBench& bench, const LayerInputs& inputs);

  absl::Status Run() override;
  kernels::cuda::StreamHandle stream() const override;
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override;

 private:
  struct FusedLaunch {
    kernels::cuda::FusedArgs args;
    kernels::cuda::FusedPlan plan;
  };

  OwnSide(const CudaBench& bench, const LayerInputs& inputs)
      : bench_(bench), inputs_(inputs) {}
  // For launches of `outputs` layers from `output` on, but for T.
  absl::StatusOr<kernels::cuda::LowRankArgs> LowRank(int output, int outputs);
  absl::Status UploadTerms();
  // False where the layers cannot be one launch each.
  absl::StatusOr<bool> PlanFused();
  absl::Status PlanShrinkAndExpand();

  const CudaBench& bench_;
  const LayerInputs& inputs_;
  BenchMemory memory_;
  kernels::cuda::DevicePtr terms_ = 0;
  std::vector<kernels::cuda::DeviceMatrix> y_;
  // One for each layer; or else the other three.
  std::vector<FusedLaunch> fused_;
  std::unique_ptr<LtSide> base_;
  kernels::cuda::ShrinkArgs shrink_;
  std::vector<kernels::cuda::ExpandArgs> expands_;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_OWN_SIDE_H_
