// A product of matrices, ready to run.
#ifndef KERNELS_CUDA_LT_PLAN_H_
#define KERNELS_CUDA_LT_PLAN_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/algo.h"
#include "kernels/cuda/lt/descriptors.h"
#include "kernels/cuda/lt/gemm.h"
#include "kernels/cuda/lt/library.h"

namespace peft {
namespace kernels {
namespace cuda {

// Where products of one stream run, one after the other. A stream has one of
// its own: a workspace that two streams share is overwritten while it is used.
struct LtStream {
  StreamHandle stream = nullptr;
  DevicePtr workspace = 0;  // at a multiple of 256
  int64_t workspace_bytes = 0;
  // Two f32 in device memory, 0 and 1, that never change.
  DevicePtr zero_one = 0;
};

// The operands of one run, in device memory.
struct GemmPointers {
  DevicePtr left = 0;
  DevicePtr right = 0;
  DevicePtr out = 0;
  DevicePtr bias = 0;   // 0: none
  DevicePtr scale = 0;  // 0 for GemmScale::kOne
};

// Immutable, thread-safe.
class GemmPlan {
 public:
  // Keeps the handle, which must outlive the plan.
  GemmPlan(const LtHandle& handle, const Gemm& gemm,
           const LtDescriptors& descriptors, const LtCandidate& candidate)
      : handle_(handle),
        gemm_(gemm),
        descriptors_(descriptors),
        candidate_(candidate) {}

  // Puts the product on the stream; the handle's device must be the thread's.
  // Allocates nothing and takes no lock; the addresses become part of a graph
  // that is being captured.
  // INVALID_ARGUMENT (ARGUMENT) for a missing operand, one that is less aligned
  // than was planned for, or too small a workspace.
  absl::Status Run(const LtStream& stream, const GemmPointers& pointers) const;

  const Gemm& gemm() const { return gemm_; }
  int64_t workspace_bytes() const { return candidate_.workspace_bytes; }
  absl::StatusOr<LtAlgoConfig> Config() const {
    return ConfigOf(handle_.library(), candidate_.algo);
  }

 private:
  absl::Status CheckPointers(const LtStream& stream,
                             const GemmPointers& pointers) const;

  const LtHandle& handle_;
  const Gemm gemm_;
  const LtDescriptors descriptors_;
  const LtCandidate candidate_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_PLAN_H_
