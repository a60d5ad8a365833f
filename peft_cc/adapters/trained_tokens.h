// Rows of embeddings that an adapter replaces, trainable_token_indices.
#ifndef PEFT_CC_ADAPTERS_TRAINED_TOKENS_H_
#define PEFT_CC_ADAPTERS_TRAINED_TOKENS_H_

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

// Takes the rows and adds them to the programs of their sites. The heads that
// are tied to the input embedding follow it, unless they have rows of their
// own; a head's bias stays. Fails as TensorTaker::Take, with INVALID_ARGUMENT
// (NO_TARGET_MATCHED) where a named module is not there, and (ADAPTER_CONFIG)
// for ids that are out of range, and for a module that the adapter changes
// otherwise, too.
absl::Status TakeTrainedTokens(const TargetConfig& config,
                               const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs);

// Adds the base's own rows, under the names that TakeTrainedTokens looks for:
// those of an adapter that nobody has trained. Fails as TakeTrainedTokens, with
// UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) where there is no weight to copy
// from, and RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
absl::Status AddBaseRows(const TargetConfig& config, const SiteTable& sites,
                         TensorMap& out_tensors);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TRAINED_TOKENS_H_
