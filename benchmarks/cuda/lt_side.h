// A layer by cuBLASLt alone, as kernels/cuda/lt plans it.
#ifndef BENCHMARKS_CUDA_LT_SIDE_H_
#define BENCHMARKS_CUDA_LT_SIDE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "kernels/cuda/lt/adapted_linear.h"
#include "kernels/cuda/lt/adapted_linear_grad.h"

namespace peft {

class LtSide : public Side {
 public:
  // Keeps both. With one adapter, but for the base.
  static absl::StatusOr<std::unique_ptr<LtSide>> Create(
      const CudaBench& bench, const LayerInputs& inputs, Work work);

  absl::Status Run() override;
  kernels::cuda::StreamHandle stream() const override;
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override;

  // Where the outputs are, for who adds to them.
  const kernels::cuda::DeviceMatrix& y(int output) const {
    return spec_.outputs[output].y;
  }

 private:
  LtSide(const CudaBench& bench, const LayerInputs& inputs)
      : bench_(bench), inputs_(inputs) {}
  absl::Status MakeSpec(Work work);
  absl::Status AddAdapters();
  absl::Status MakeGradSpec();
  absl::Status Plan();
  // Times the algorithms for all products that have none yet.
  absl::Status Tune();

  const CudaBench& bench_;
  const LayerInputs& inputs_;
  BenchMemory memory_;
  kernels::cuda::AdaptedLinearSpec spec_;
  kernels::cuda::AdaptedLinearGradSpec grad_spec_;
  kernels::cuda::AdaptedLinear forward_;
  kernels::cuda::AdaptedLinearGrad backward_;
  bool has_backward_ = false;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_LT_SIDE_H_
