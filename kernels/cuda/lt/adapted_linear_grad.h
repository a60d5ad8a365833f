// Gradients of a linear layer with one adapter, y = x W^T + s (x A^T) B^T, as
// products of cuBLASLt. W is frozen.
#ifndef KERNELS_CUDA_LT_ADAPTED_LINEAR_GRAD_H_
#define KERNELS_CUDA_LT_ADAPTED_LINEAR_GRAD_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/launches.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {
namespace kernels {
namespace cuda {

// Memory is the caller's and must outlive what is planned with it. What is
// computed may not overlap anything else.
struct AdaptedLinearGradSpec {
  DeviceMatrix dy;      // (rows, out), of x's dtype
  DeviceMatrix x;       // (rows, in)
  DeviceMatrix t;       // (rows, rank): x A^T of the forward, not scaled
  DeviceMatrix a;       // (rank, in)
  DeviceMatrix b;       // (out, rank)
  DevicePtr scale = 0;  // one f32
  DeviceMatrix dt;      // scratch, (rows, rank), of x's dtype

  // Gradients of the factors, of x's dtype or F32; both or none.
  DeviceMatrix da;  // (rank, in)
  DeviceMatrix db;  // (out, rank)
  // They are added to what is there.
  bool accumulate_factors = false;

  // The gradient of x, of x's dtype or F32; none where nobody wants it.
  DeviceMatrix dx;          // (rows, in)
  DeviceMatrix weight;      // (out, in); none: the base's part is not computed
  bool transposed = false;  // the weight is (in, out), as HF Conv1D's
  // It is added to what is there, as where several layers or adapters share x.
  bool accumulate_dx = false;
};

// Immutable, thread-safe.
class AdaptedLinearGrad {
 public:
  // Fails as AdaptedLinear::Plan does.
  static absl::StatusOr<AdaptedLinearGrad> Plan(
      PlanCache* cache, const AdaptedLinearGradSpec& spec);

  // Puts the products on the stream. Allocates nothing, takes no lock.
  absl::Status Run(const LtStream& stream) const {
    return launches_.Run(stream);
  }

  int num_launches() const { return launches_.size(); }
  // What it multiplies, in order: for PlanCache::Tune.
  std::vector<Gemm> gemms() const { return launches_.gemms(); }

 private:
  Launches launches_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_ADAPTED_LINEAR_GRAD_H_
