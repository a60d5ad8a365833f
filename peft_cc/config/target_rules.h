// Whether a config targets a module of a given name: one compiled form of
// target_modules, exclude_modules, modules_to_save, layers_to_transform and
// layers_pattern.
#ifndef PEFT_CC_CONFIG_TARGET_RULES_H_
#define PEFT_CC_CONFIG_TARGET_RULES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/module_names.h"
#include "peft_cc/config/python_regex.h"

namespace peft {

// What becomes of a module.
enum class TargetDecision { kTargeted, kNotTargeted, kExcluded };

// PEFT's check_target_module_exists. Immutable, thread-safe.
class TargetRules {
 public:
  // `target` is the selector to use for target_modules (never "all-linear").
  // Fails with (REGEX) for a regex that Python refuses or that cannot be run;
  // one in layers_pattern only when it is needed, as in PEFT. More than 1024
  // entries in modules_to_save or layers_pattern are RESOURCE_EXHAUSTED.
  static absl::StatusOr<TargetRules> Create(const TargetConfig& config,
                                            const ModuleSelector& target);

  // Fails with (REGEX) where a regex takes too much work, or layers_pattern is
  // none.
  absl::StatusOr<TargetDecision> Decide(absl::string_view name) const;

 private:
  // A ModuleSelector made fast.
  struct Selector {
    std::optional<PythonRegex> regex;
    ModuleNames names;
  };

  TargetRules() = default;
  static absl::StatusOr<Selector> Compile(absl::string_view key,
                                          const ModuleSelector& selector);
  void CompileLayers(const TargetConfig& config);
  absl::StatusOr<bool> IsExcluded(absl::string_view name) const;
  absl::StatusOr<bool> IsInLayers(absl::string_view name) const;

  Selector target_;
  Selector exclude_;
  std::vector<PythonRegex> saved_;
  bool filters_layers_ = false;
  std::unordered_set<int64_t> layers_;
  std::vector<absl::StatusOr<PythonRegex>> layer_patterns_;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_TARGET_RULES_H_
