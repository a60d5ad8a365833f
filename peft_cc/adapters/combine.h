// Several loaded adapters become a new one: PEFT's add_weighted_adapter.
#ifndef PEFT_CC_ADAPTERS_COMBINE_H_
#define PEFT_CC_ADAPTERS_COMBINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/algebra/combination_type.h"
#include "peft_cc/algebra/merge_operators.h"

namespace peft {

// How adapters are combined; see peft_cc/algebra/weighted_lora.h.
struct CombineOptions {
  CombinationType type = CombinationType::kSvd;
  MajoritySignMethod majority_sign_method = MajoritySignMethod::kTotal;
  std::optional<int64_t> svd_rank;  // nullopt: the largest of the sources
  std::optional<double> svd_clamp;
  std::optional<double> density;
  uint64_t seed = 0;  // of torch's generator, for the dare types
  // PEFT hands these on to torch's decomposition. They choose an algorithm, not
  // a result, and are without effect here.
  bool svd_full_matrices = true;
  std::string svd_driver;  // "", or one of torch's: "gesvd", "gesvdj", "gesvda"
};

// One of the adapters that are combined.
struct CombineSource {
  std::string name;  // for messages
  std::shared_ptr<const Adapter> adapter;
  double weight = 1;
  double scale = 1;  // what peft_model_set_scale set
};

// The adapter `name` of the sources: LORA ones, or IA3 ones with kLinear. Its
// config is the first source's with r = lora_alpha = the new rank, no patterns,
// and the target_modules of all, as PEFT has it; see FitTargets. A source whose
// change of a weight has no factors (DoRA, pissa, olora) takes part with that
// change, in the types with a decomposition. Fails with INVALID_ARGUMENT
// (ADAPTER_NOT_COMBINABLE) for other sources and for what no LoRA can hold:
// target_parameters, biases, replaced modules or rows, tied weights, invocation
// tokens that differ; for ranks that differ in the types on factors, and what
// PEFT refuses else; (ARGUMENT) as CombineLora, and for an unknown svd_driver.
absl::StatusOr<LoadedAdapter> CombineAdapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources, const CombineOptions& options,
    kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_COMBINE_H_
