// The modules that a method targets where target_modules is null.
#ifndef PEFT_CC_CONFIG_DEFAULT_TARGETS_H_
#define PEFT_CC_CONFIG_DEFAULT_TARGETS_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// PEFT's choice for method `peft_type` and the base model's config.model_type;
// nullopt for the types that have none. Source: peft 0.21.2,
// TRANSFORMERS_MODELS_TO_*_TARGET_MODULES_MAPPING.
std::optional<ModuleSelector> DefaultTargets(absl::string_view peft_type,
                                             absl::string_view model_type);

// IA3's feedforward_modules, likewise.
std::optional<ModuleSelector> DefaultFeedforward(absl::string_view model_type);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_DEFAULT_TARGETS_H_
