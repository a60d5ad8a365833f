#include "peft_cc/config/target_matcher.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/default_targets.h"
#include "peft_cc/config/module_names.h"
#include "peft_cc/config/pattern_table.h"
#include "peft_cc/config/target_rules.h"

namespace peft {
namespace {

using Clock = std::chrono::steady_clock;

// PEFT's word for "no module at all"; such an adapter targets nothing.
constexpr char kDummyTargets[] = "dummy-target-modules";

// PEFT shrinks lists from this size on.
constexpr size_t kMinSizeToShrink = 20;

// Every single match is bounded; so is their sum over all modules and
// patterns, which a hostile config can multiply. Real ones take milliseconds.
constexpr std::chrono::seconds kMaxTime(20);

std::string ListNames(const std::vector<std::string>& names) {
  constexpr size_t kMaxListed = 10;
  const size_t listed = std::min(names.size(), kMaxListed);
  std::string text = absl::StrJoin(
      names.begin(), names.begin() + listed, ", ",
      [](std::string* out, const std::string& name) { *out += Quoted(name); });
  if (listed < names.size()) {
    absl::StrAppend(&text, " and ", names.size() - listed, " more");
  }
  return text;
}

std::string Describe(const ModuleSelector& selector) {
  return selector.is_regex ? Quoted(selector.regex)
                           : absl::StrCat("[", ListNames(selector.names), "]");
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
  Matcher(const LoraConfig& config, const std::vector<ModuleInfo>& modules,
          const std::string& model_type, std::vector<std::string>* notes)
      : config_(config),
        modules_(modules),
        model_type_(model_type),
        notes_(*notes),
        deadline_(Clock::now() + kMaxTime) {}

  absl::StatusOr<std::vector<TargetMatch>> Match();

 private:
  absl::StatusOr<ModuleSelector> Target() const;
  ModuleSelector AllLinear() const;
  absl::Status Shrink(ModuleSelector* target) const;
  absl::Status FindTargets(const TargetRules& rules);
  absl::Status CheckDeadline() const;
  absl::Status CheckAnyTarget(const ModuleSelector& target) const;
  std::string LayerHint() const;
  // Sets `field` of every match to the value of the first key that matches.
  template <typename Value>
  absl::Status ApplyPattern(
      absl::string_view what,
      const std::vector<std::pair<std::string, Value>>& pattern,
      Value TargetMatch::*field);

  const LoraConfig& config_;
  const std::vector<ModuleInfo>& modules_;
  const std::string& model_type_;
  std::vector<std::string>& notes_;
  const Clock::time_point deadline_;
  std::vector<TargetMatch> matches_;
  bool any_excluded_ = false;
  bool any_unmatched_ = false;
};

absl::StatusOr<std::vector<TargetMatch>> Matcher::Match() {
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
  PEFT_RETURN_IF_ERROR(
      ApplyPattern("rank_pattern", config_.rank_pattern, &TargetMatch::r));
  PEFT_RETURN_IF_ERROR(ApplyPattern("alpha_pattern", config_.alpha_pattern,
                                    &TargetMatch::alpha));
  return std::move(matches_);
}

absl::StatusOr<ModuleSelector> Matcher::Target() const {
  if (config_.target_modules.has_value()) {
    return config_.target_modules->IsAllLinear() ? AllLinear()
                                                 : *config_.target_modules;
  }
  std::optional<ModuleSelector> target = DefaultLoraTargets(model_type_);
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
    PEFT_RETURN_IF_ERROR(CheckDeadline());
    PEFT_ASSIGN_OR_RETURN(const TargetDecision decision,
                          rules.Decide(module.name));
    any_excluded_ |= decision == TargetDecision::kExcluded;
    any_unmatched_ |= decision == TargetDecision::kNotTargeted;
    if (decision != TargetDecision::kTargeted) continue;
    PEFT_RETURN_IF_ERROR(CheckMamba(module.name, model_type_));
    matches_.push_back({module.name, config_.r, config_.lora_alpha});
  }
  return absl::OkStatus();
}

absl::Status Matcher::CheckDeadline() const {
  if (Clock::now() < deadline_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted, error_id::kRegex,
                   "matching the config's patterns with the model's modules "
                   "takes too long; write them as plain names");
}

absl::Status Matcher::CheckAnyTarget(const ModuleSelector& target) const {
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
                    ListNames(config_.layers_pattern), "]");
  }
  return hint;
}

template <typename Value>
absl::Status Matcher::ApplyPattern(
    absl::string_view what,
    const std::vector<std::pair<std::string, Value>>& pattern,
    Value TargetMatch::*field) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : pattern) keys.push_back(key);
  PEFT_ASSIGN_OR_RETURN(PatternTable table,
                        PatternTable::Create(what, std::move(keys)));
  for (TargetMatch& match : matches_) {
    PEFT_RETURN_IF_ERROR(CheckDeadline());
    PEFT_ASSIGN_OR_RETURN(const std::optional<size_t> index,
                          table.Find(match.name));
    if (index.has_value()) match.*field = pattern[*index].second;
  }
  const std::vector<std::string> unmatched = table.Unmatched();
  if (!unmatched.empty()) {
    notes_.push_back(absl::StrCat(
        what, " has keys that match no target: ", ListNames(unmatched)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TargetMatch>> MatchTargets(
    const LoraConfig& config, const std::vector<ModuleInfo>& modules,
    const std::string& model_type, std::vector<std::string>* out_notes) {
  return Matcher(config, modules, model_type, out_notes).Match();
}

}  // namespace peft
