#include "peft_cc/config/target_matcher.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/default_targets.h"
#include "peft_cc/config/match_deadline.h"
#include "peft_cc/config/module_names.h"
#include "peft_cc/config/target_rules.h"

namespace peft {
namespace {

// PEFT's word for "no module at all"; such an adapter targets nothing.
constexpr char kDummyTargets[] = "dummy-target-modules";

// PEFT shrinks lists from this size on.
constexpr size_t kMinSizeToShrink = 20;

std::string Describe(const ModuleSelector& selector) {
  return selector.is_regex ? Quoted(selector.regex)
                           : absl::StrCat("[", ShortList(selector.names), "]");
}

absl::Status NoTargets(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   error_id::kNoTargetMatched, message);
}

// What is named "out_proj" and "conv1d" in a Mamba is no plain linear.
absl::Status CheckMamba(absl::string_view name, const std::string& model_type) {
  constexpr absl::string_view kModelTypes[] = {"falcon_h1", "falcon_mamba",
                                               "mamba", "mamba2", "nemotron_h"};
  if (std::find(std::begin(kModelTypes), std::end(kModelTypes), model_type) ==
      std::end(kModelTypes)) {
    return absl::OkStatus();
  }
  const absl::string_view last = name.substr(name.rfind('.') + 1);
  if (last != "out_proj" && last != "conv1d") return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("target_modules hits ", Quoted(name),
                                ", which cannot be adapted in a model of type ",
                                model_type, "; take it out of target_modules"));
}

class Matcher {
 public:
  Matcher(const TargetConfig& config, const std::string& peft_type,
          const std::vector<ModuleInfo>& modules, const std::string& model_type,
          std::vector<std::string>* notes)
      : config_(config),
        peft_type_(peft_type),
        modules_(modules),
        model_type_(model_type),
        notes_(*notes) {}

  absl::StatusOr<std::vector<std::string>> Match();

 private:
  absl::StatusOr<ModuleSelector> Target() const;
  ModuleSelector AllLinear() const;
  absl::Status Shrink(ModuleSelector* target) const;
  absl::Status FindTargets(const TargetRules& rules);
  absl::Status CheckAnyTarget(const ModuleSelector& target) const;
  std::string LayerHint() const;

  const TargetConfig& config_;
  const std::string& peft_type_;
  const std::vector<ModuleInfo>& modules_;
  const std::string& model_type_;
  std::vector<std::string>& notes_;
  const MatchDeadline deadline_;
  std::vector<std::string> matches_;
  bool any_excluded_ = false;
  bool any_unmatched_ = false;
};

absl::StatusOr<std::vector<std::string>> Matcher::Match() {
  if (!config_.target_modules.has_value() &&
      !config_.target_parameters.empty() &&
      !DefaultTargets(peft_type_, model_type_).has_value()) {
    return std::move(matches_);
  }
  PEFT_ASSIGN_OR_RETURN(ModuleSelector target, Target());
  if (target.is_regex && target.regex == kDummyTargets) {
    notes_.push_back("target_modules is the placeholder for no module");
    return std::move(matches_);
  }
  PEFT_RETURN_IF_ERROR(Shrink(&target));
  PEFT_ASSIGN_OR_RETURN(const TargetRules rules,
                        TargetRules::Create(config_, target));
  PEFT_RETURN_IF_ERROR(FindTargets(rules));
  PEFT_RETURN_IF_ERROR(CheckAnyTarget(target));
  return std::move(matches_);
}

absl::StatusOr<ModuleSelector> Matcher::Target() const {
  if (config_.target_modules.has_value()) {
    return config_.target_modules->IsAllLinear() ? AllLinear()
                                                 : *config_.target_modules;
  }
  std::optional<ModuleSelector> target =
      DefaultTargets(peft_type_, model_type_);
  if (target.has_value()) return *std::move(target);
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("target_modules is null, and there is no default for a "
                   "model of type ",
                   Quoted(model_type_), "; please specify target_modules"),
      {"target_modules", "a list of names or a regex", "null"});
}

ModuleSelector Matcher::AllLinear() const {
  ModuleSelector target;
  for (const ModuleInfo& module : modules_) {
    if (module.is_linear && !module.is_output_embedding) {
      target.names.push_back(module.name);
    }
  }
  return target;
}

absl::Status Matcher::Shrink(ModuleSelector* target) const {
  if (target->is_regex || !config_.layers_to_transform.has_value()) {
    return absl::OkStatus();
  }
  const ModuleNames names(target->names);
  if (names.size() < kMinSizeToShrink) return absl::OkStatus();
  if (names.Has("")) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     error_id::kAdapterConfig,
                     "target_modules has an empty name; take it out",
                     {"target_modules", "", "\"\""});
  }
  std::vector<absl::string_view> all;
  for (const ModuleInfo& module : modules_) all.push_back(module.name);
  std::vector<std::string> shrunk = MinimalNames(names, all);
  if (shrunk.size() < names.size()) target->names = std::move(shrunk);
  return absl::OkStatus();
}

absl::Status Matcher::FindTargets(const TargetRules& rules) {
  for (const ModuleInfo& module : modules_) {
    if (module.name.empty()) continue;  // the model itself
    PEFT_RETURN_IF_ERROR(deadline_.Check());
    PEFT_ASSIGN_OR_RETURN(const TargetDecision decision,
                          rules.Decide(module.name));
    any_excluded_ |= decision == TargetDecision::kExcluded;
    any_unmatched_ |= decision == TargetDecision::kNotTargeted;
    if (decision != TargetDecision::kTargeted) continue;
    PEFT_RETURN_IF_ERROR(CheckMamba(module.name, model_type_));
    matches_.push_back(module.name);
  }
  return absl::OkStatus();
}

absl::Status Matcher::CheckAnyTarget(const ModuleSelector& target) const {
  if (matches_.empty() && !config_.target_parameters.empty()) {
    // The caller, who knows the parameters, sees whether any is targeted.
    notes_.push_back(absl::StrCat("target_modules ", Describe(target),
                                  " matches no module"));
    return absl::OkStatus();
  }
  if (matches_.empty()) {
    if (any_excluded_ && !any_unmatched_) {
      return NoTargets(
          "every module is excluded; check target_modules, exclude_modules "
          "and modules_to_save");
    }
    const bool no_names =
        target.is_regex ? target.regex.empty() : target.names.empty();
    if (!any_excluded_ && any_unmatched_ && no_names) {
      return NoTargets("target_modules is empty; name the modules to adapt");
    }
    if (!any_excluded_ && any_unmatched_) {
      return NoTargets(absl::StrCat("target_modules ", Describe(target),
                                    " matches no module of the model",
                                    LayerHint()));
    }
    return NoTargets(absl::StrCat(
        "no module is left to adapt: target_modules ", Describe(target),
        " only matches what exclude_modules or modules_to_save take out",
        LayerHint()));
  }
  const auto& exclude = config_.exclude_modules;
  if (exclude.has_value() && !any_excluded_ &&
      !(exclude->regex.empty() && exclude->names.empty())) {
    notes_.push_back(absl::StrCat("exclude_modules ", Describe(*exclude),
                                  " matches no module"));
  }
  return absl::OkStatus();
}

std::string Matcher::LayerHint() const {
  std::string hint;
  if (config_.layers_to_transform.has_value()) {
    absl::StrAppend(&hint, "; layers_to_transform has ",
                    config_.layers_to_transform->size(), " layers");
  }
  if (!config_.layers_pattern.empty()) {
    absl::StrAppend(&hint, "; layers_pattern is [",
                    ShortList(config_.layers_pattern), "]");
  }
  return hint;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> MatchTargets(
    const TargetConfig& config, const std::string& peft_type,
    const std::vector<ModuleInfo>& modules, const std::string& model_type,
    std::vector<std::string>* out_notes) {
  return Matcher(config, peft_type, modules, model_type, out_notes).Match();
}

}  // namespace peft
