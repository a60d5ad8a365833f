// Parameters that a config targets by themselves, target_parameters.
#ifndef PEFT_CC_ADAPTERS_TARGET_PARAMETERS_H_
#define PEFT_CC_ADAPTERS_TARGET_PARAMETERS_H_

#include <vector>

#include "absl/status/status.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/method_table.h"

namespace peft {

// Adds the parameters that `config` targets to `targets`, which holds the
// modules. Several of one module nest: the last in module order is outermost.
// INVALID_ARGUMENT (ADAPTER_CONFIG) for what PEFT refuses: one of the model
// itself, of a module that is a target too, or without two or three axes;
// (NO_TARGET_MATCHED) where there is no target at all. UNIMPLEMENTED
// (ADAPTER_FEATURE_UNSUPPORTED) for the weight of another layer than a linear
// one.
absl::Status AddParameterTargets(const TargetConfig& config,
                                 const MethodInfo& method,
                                 const SiteTable& sites, const KeyMap& keys,
                                 std::vector<TargetSite>& targets);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TARGET_PARAMETERS_H_
