// Merging: what adapters do to a model's layers, written into new weights.
#ifndef PEFT_CC_ADAPTERS_MERGE_H_
#define PEFT_CC_ADAPTERS_MERGE_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/base_overlay.h"
#include "peft_cc/adapters/merge_memory.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// How adapters are merged.
struct MergeAdapterOptions {
  // INVALID_ARGUMENT (MERGE_NOT_FINITE) where a merged weight is NaN or
  // infinite; else it is taken.
  bool check_finite = false;
};

// The sites that some adapter of `activation` has a program for, rising.
std::vector<int> ChangedSites(const Activation& activation);

// INVALID_ARGUMENT (ADAPTER_NOT_MERGEABLE) where an adapter does what no weight
// can do: a gate opens for some tokens only, or a low-rank term reads all
// groups of a convolution.
absl::Status CheckMergeable(const SiteTable& sites,
                            const Activation& activation);

// The weight and bias of site `site` under `plan`, of the base's element types,
// accumulated in f32 and rounded once; a quantised weight becomes one of f32.
// What the plan does not change is shared with it, the rest lies in `memory`.
// The plan's activation must be mergeable. Runs on `pool`.
// FAILED_PRECONDITION (ADAPTER_NOT_MERGEABLE) for a site whose weights the SDK
// does not have.
absl::StatusOr<BaseOverlay::Weights> MergeSite(
    const SiteTable& sites, const Plan& plan, int site,
    const MergeAdapterOptions& options, MergeMemory& memory,
    kernels::ThreadPool& pool);

// The weight alone, as F32, before it is rounded to the base's type.
absl::StatusOr<Tensor> MergeWeightF32(const SiteTable& sites, const Plan& plan,
                                      int site, kernels::ThreadPool& pool);

// All that the adapters of `plan` change.
absl::StatusOr<std::shared_ptr<const BaseOverlay>> MergePlan(
    const SiteTable& sites, const Plan& plan,
    const MergeAdapterOptions& options, kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_MERGE_H_
