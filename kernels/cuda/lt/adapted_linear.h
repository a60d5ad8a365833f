// A linear layer with adapters, or several that share their input, as products
// of cuBLASLt:
//
//   y = activation(x W^T + bias + sum_g ((x A_g^T) s_g) B_g^T)
//
// in three launches: the base with its bias; one thin product for all A; one
// that adds to y, with the activation. The scales are read from device memory
// when it runs, so that a captured graph follows them.
#ifndef KERNELS_CUDA_LT_ADAPTED_LINEAR_H_
#define KERNELS_CUDA_LT_ADAPTED_LINEAR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/launches.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {
namespace kernels {
namespace cuda {

// Rows of the stacked A that are one adapter's at one layer.
struct RankGroup {
  int64_t rank = 0;  // padded (pack.h)
  // All its scales are one number.
  bool uniform = true;
};

// One layer.
struct AdaptedOutput {
  DeviceMatrix weight;  // (out, in); none where y holds the base's part already
  bool transposed = false;  // the weight is (in, out), as HF Conv1D's
  DevicePtr bias = 0;       // (out), of y's dtype; 0: none
  // (out) of f32, factors of x W^T alone: those of IA3 and DoRA, which a caller
  // has folded into bias and b as the method wants it. 0: none
  DevicePtr out_scale = 0;
  DeviceMatrix y;  // (rows, out)
  // Its groups follow each other among those of the spec.
  int first_group = 0;
  int num_groups = 0;
  DeviceMatrix b;  // (out, ranks of its groups)
  GemmActivation activation = GemmActivation::kNone;
};

// All layers that share x, as q, k and v do. Memory is the caller's and must
// outlive what is planned with it; y may not overlap anything else.
struct AdaptedLinearSpec {
  DeviceMatrix x;  // (rows, in)
  // The stacked A of all groups, (ranks, in), of x's dtype; none without
  // groups.
  DeviceMatrix a;
  DeviceMatrix t;  // scratch, (rows, ranks), of x's dtype
  // One f32 for each rank, 0 for those that only fill up.
  DevicePtr rank_scales = 0;
  std::vector<RankGroup> groups;
  std::vector<AdaptedOutput> outputs;
};

// Immutable, thread-safe.
class AdaptedLinear {
 public:
  // INVALID_ARGUMENT (ARGUMENT) for shapes that contradict each other.
  // UNIMPLEMENTED for dtypes that cuBLASLt cannot multiply; and for groups that
  // are not uniform, and for out_scale, where it has no scale per column on
  // this device: own kernels compute those.
  static absl::StatusOr<AdaptedLinear> Plan(PlanCache* cache,
                                            const AdaptedLinearSpec& spec);

  // Puts the products on the stream. Allocates nothing, takes no lock.
  absl::Status Run(const LtStream& stream) const {
    return launches_.Run(stream);
  }

  int num_launches() const { return launches_.size(); }
  // What it multiplies, in order: for PlanCache::Tune.
  std::vector<Gemm> gemms() const { return launches_.gemms(); }
  // Whether t holds scaled products after a run: several adapters of one layer
  // then need one launch. Else it holds x A^T, as gradients want it.
  bool scales_t() const { return scales_t_; }

 private:
  Launches launches_;
  bool scales_t_ = false;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_ADAPTED_LINEAR_H_
