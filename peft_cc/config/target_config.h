// The fields of an adapter_config.json that say what of the model changes.
#ifndef PEFT_CC_CONFIG_TARGET_CONFIG_H_
#define PEFT_CC_CONFIG_TARGET_CONFIG_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/config_reader.h"

namespace peft {

// Reads the fields of TargetConfig that all methods have: target_modules,
// exclude_modules, modules_to_save, fan_in_fan_out. Fails as
// ParseAdapterConfig.
absl::Status ReadTargetModules(ConfigReader& reader, TargetConfig& out);

// Reads all of them, and checks PEFT's rules for what goes together.
absl::Status ReadTargetConfig(ConfigReader& reader, TargetConfig& out);

// A string, a list of strings or null, which leaves *out alone.
absl::Status ReadModuleSelector(ConfigReader& reader, absl::string_view key,
                                std::optional<ModuleSelector>* out);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_TARGET_CONFIG_H_
