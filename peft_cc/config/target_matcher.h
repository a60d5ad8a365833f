// Which modules of a model an adapter config hits: PEFT's matching rules
// (BaseTuner.inject_adapter and check_target_module_exists of peft 0.21.2).
#ifndef PEFT_CC_CONFIG_TARGET_MATCHER_H_
#define PEFT_CC_CONFIG_TARGET_MATCHER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// A named module of the model, as transformers names it
// ("model.layers.0.self_attn.q_proj").
struct ModuleInfo {
  std::string name;
  bool is_linear = false;  // nn.Linear or HF Conv1D
  // Left out by "all-linear": lm_head, or the classifier of SEQ_CLS.
  bool is_output_embedding = false;
};

// The names of all modules of `modules` that `config` targets, in the order of
// `modules`, which are all of the model, not only those that can be adapted:
// "self_attn" in target_modules hits a block. Modules that match by name but
// are not linear are returned too: the caller decides what it can adapt (PEFT
// refuses what it cannot). `peft_type` and `model_type` choose the default
// targets when target_modules is null. An exclude_modules without effect is
// added to `out_notes`. With target_parameters there may be no target.
//
// Fails with INVALID_ARGUMENT (NO_TARGET_MATCHED, with PEFT's reason; REGEX;
// ADAPTER_CONFIG: no default targets, or a module that PEFT refuses in Mambas),
// UNIMPLEMENTED (REGEX: a pattern that cannot be run) and RESOURCE_EXHAUSTED
// (REGEX: patterns that take too much work).
absl::StatusOr<std::vector<std::string>> MatchTargets(
    const TargetConfig& config, const std::string& peft_type,
    const std::vector<ModuleInfo>& modules, const std::string& model_type,
    std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_TARGET_MATCHER_H_
