// A linear layer with a LoRA by kernels/cuda, and graphs of what runs on a GPU.
#ifndef BENCHMARKS_CUDA_SIDE_H_
#define BENCHMARKS_CUDA_SIDE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/adapted_linear.h"
#include "kernels/cuda/lt/adapted_linear_grad.h"
#include "kernels/cuda/lt/gpu_timer.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {

// What one GPU is measured with.
struct CudaBench {
  const kernels::cuda::Device& device;
  kernels::cuda::PlanCache& cache;
  kernels::cuda::GpuTimer& timer;
};

// Seconds of a graph of all that `launch` puts on `stream`, launched with a
// cold L2 cache.
absl::StatusOr<double> TimeGraph(const CudaBench& bench,
                                 kernels::cuda::StreamHandle stream,
                                 absl::FunctionRef<absl::Status()> launch);

// Layers of BF16 that share their input, each with an adapter of rank `rank`,
// or none where it is 0. Memory is zero: what a product takes does not depend
// on its numbers.
class CudaLinears {
 public:
  static absl::StatusOr<std::unique_ptr<CudaLinears>> Create(
      const CudaBench& bench, int64_t rows, int64_t in,
      const std::vector<int64_t>& outs, int64_t rank);

  absl::Status Forward(const kernels::cuda::LtStream& stream) const {
    return forward_.Run(stream);
  }
  // Of the first layer; needs a rank.
  absl::Status Backward(const kernels::cuda::LtStream& stream) const {
    return backward_.Run(stream);
  }
  // Plans the backward as well.
  absl::Status PlanBackward(const CudaBench& bench);
  // Times the algorithms for all products, and plans them again.
  absl::Status Tune(const CudaBench& bench);

 private:
  CudaLinears() = default;
  absl::StatusOr<kernels::cuda::DeviceMatrix> Matrix(const CudaBench& bench,
                                                     int64_t rows,
                                                     int64_t cols);
  absl::StatusOr<kernels::cuda::DevicePtr> Memory(const CudaBench& bench,
                                                  int64_t bytes);

  std::vector<kernels::cuda::DeviceBuffer> buffers_;
  kernels::cuda::AdaptedLinearSpec spec_;
  kernels::cuda::AdaptedLinearGradSpec grad_spec_;
  kernels::cuda::AdaptedLinear forward_;
  kernels::cuda::AdaptedLinearGrad backward_;
  bool has_backward_ = false;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_SIDE_H_
