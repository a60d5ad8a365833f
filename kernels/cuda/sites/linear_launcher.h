// From what adapters do at a linear layer to launches: which of our kernels and
// of cuBLASLt's products compute it.
#ifndef KERNELS_CUDA_SITES_LINEAR_LAUNCHER_H_
#define KERNELS_CUDA_SITES_LINEAR_LAUNCHER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/launches.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// What a layer does besides its product and its terms, in device memory; 0:
// none. y = (p + terms) out_scale + bias, where p is computed from x in_scale.
struct SiteFactors {
  DevicePtr in_scale = 0;       // f32, (in)
  DevicePtr out_scale = 0;      // f32, (out)
  DevicePtr bias = 0;           // f32, (out)
  DevicePtr bias_in_dtype = 0;  // the same numbers in y's dtype

  bool operator==(const SiteFactors& other) const {
    return in_scale == other.in_scale && out_scale == other.out_scale &&
           bias == other.bias;
  }
};

// Consecutive rows of a call with the same adapters.
struct SiteGroup {
  int64_t rows = 0;
  SiteFactors factors;
};

// The one term of a call, where no other can come in its place before it runs.
struct OnlyTerm {
  DevicePtr a = 0;      // (rank, in)
  DevicePtr b = 0;      // (out, rank)
  DevicePtr scale = 0;  // f32
  int32_t rank = 0;     // 0: there is none
};

// A call at one layer.
struct SiteCall {
  DeviceMatrix x;           // (rows, in)
  DeviceMatrix y;           // (rows, out), of x's dtype
  DeviceMatrix weight;      // of x's dtype; none: y holds what is added to
  bool transposed = false;  // the weight is (in, out)
  absl::Span<const SiteGroup> groups;
  // False: no term of the call acts now, nor may one when it runs.
  bool has_terms = false;
  OnlyTerm only_term;
  // What the groups' terms are read from, as in LowRankArgs.
  DevicePtr tiles = 0;
  int32_t num_tiles = 0;
  DevicePtr terms = 0;
  int32_t columns = 0;
  int32_t chunks = 0;
  int32_t units = 0;  // as in FusedShape
  DType adapter_dtype = DType::kBF16;
};

// Device memory for the length of a call, of calls that follow each other.
struct SiteScratch {
  DevicePtr data = 0;      // ScratchBytes, at a multiple of 256
  DevicePtr counters = 0;  // two uint32, 0 before and after each call
  LtStream lt;
};

// Thread-compatible. Keeps what it was made with, which must outlive it.
class LinearLauncher {
 public:
  LinearLauncher(const AdapterKernels& kernels, PlanCache& plans)
      : kernels_(kernels), plans_(plans) {}

  // Of SiteScratch::data.
  size_t ScratchBytes(const SiteCall& call) const;

  // Puts the call on the stream of `scratch`:
  //   - up to 32 rows of F16 or BF16 with adapters of the same type, whose
  //     groups differ in nothing but their terms: one launch
  //     (AdapterKernels::Fused);
  //   - many rows with an only term: three products of cuBLASLt;
  //   - all else: the base by cuBLASLt, Shrink and Expand for the rows of all
  //     groups, and factors group by group where these differ.
  // A call of a kind that ran before allocates nothing and takes no lock.
  // UNIMPLEMENTED (CUBLASLT) where the library cannot compute the base product.
  absl::Status Run(const SiteCall& call, const SiteScratch& scratch);

 private:
  // None where the call cannot be one launch.
  std::optional<FusedPlan> PlanFused(const SiteCall& call) const;
  absl::Status RunFused(const SiteCall& call, const FusedPlan& plan,
                        const SiteScratch& scratch) const;
  absl::Status RunProducts(const SiteCall& call, const DeviceMatrix& x,
                           const SiteScratch& scratch);
  absl::Status RunTerms(const SiteCall& call, const SiteScratch& scratch) const;
  absl::Status ScaleInputs(const SiteCall& call, const DeviceMatrix& to,
                           StreamHandle stream) const;
  absl::Status ScaleOutputs(const SiteCall& call, StreamHandle stream) const;
  absl::Status RunProduct(const Product& product, const LtStream& stream);
  LowRankArgs LowRankOf(const SiteCall& call, DevicePtr t) const;
  KernelTypes TypesOf(const SiteCall& call) const {
    return {call.x.dtype, call.adapter_dtype};
  }

  const AdapterKernels& kernels_;
  PlanCache& plans_;
  // Plans that were asked for: PlanCache takes a lock.
  std::map<GemmKey, std::shared_ptr<const GemmPlan>> known_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_SITES_LINEAR_LAUNCHER_H_
