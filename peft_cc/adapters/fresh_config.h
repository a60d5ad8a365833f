// The config of a new adapter, as PEFT fills it in.
#ifndef PEFT_CC_ADAPTERS_FRESH_CONFIG_H_
#define PEFT_CC_ADAPTERS_FRESH_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// What get_peft_model makes of `config` on the model with `sites` before it
// looks for targets: every field has a value, defaults and "all-linear" are
// written out as names, 20 names or more are made short, heads of the task and
// what ensure_weight_tying adds are listed, and base_model_name_or_path is
// `base_name` (null for ""). Keys that nobody knows stay. auto_mapping stays
// null, as transformers has it. One thing is not as in PEFT: a tied head whose
// embedding has an unusual name stays in the lists, as PEFT loses it on loading
// otherwise. Fails as ParseAdapterConfig.
absl::StatusOr<AdapterConfig> FreshConfig(const AdapterConfig& config,
                                          const SiteTable& sites,
                                          const std::string& base_name);

// Sets fan_in_fan_out as PEFT corrects it for `targets`.
void CorrectFanInFanOut(const SiteTable& sites,
                        const std::vector<TargetSite>& targets,
                        AdapterConfig& config);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_FRESH_CONFIG_H_
