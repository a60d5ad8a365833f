// Modules that an adapter replaces as a whole, modules_to_save.
#ifndef PEFT_CC_ADAPTERS_SAVED_MODULES_H_
#define PEFT_CC_ADAPTERS_SAVED_MODULES_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/adapters/tensor_taker.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/forms.h"

namespace peft {

// Takes the tensors of every module whose name ends as modules_to_save says,
// and of those below it, and begins the programs of their sites with Replace.
// With ensure_weight_tying and a name "embed_tokens" or "lm_head" among them
// the embedding is taken, and its tied heads follow it. Call it before anything
// else takes tensors. Fails as TensorTaker::Take, and with INVALID_ARGUMENT
// (ADAPTER_CONFIG) for a module that is or holds a target.
absl::Status TakeSavedModules(const TargetConfig& config,
                              const SiteTable& sites,
                              const std::vector<TargetSite>& targets,
                              const KeyMap& keys, TensorTaker& taker,
                              std::map<int, SiteProgram>& programs);

// Adds the base's own tensors of these modules, under the names that
// TakeSavedModules looks for: those of an adapter that nobody has trained.
// RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
absl::Status AddBaseModules(const TargetConfig& config, const SiteTable& sites,
                            TensorMap& out_tensors);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SAVED_MODULES_H_
