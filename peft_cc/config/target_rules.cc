#include "peft_cc/config/target_rules.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The layer is the first number that is a path element of its own and has two
// elements before it ("model.layers.3."): a bare "layers.3." has no layer.
constexpr char kAnyLayer[] = R"(.*?\.[^.]*\.(?P<idx>\d+)\.)";

// Bounds the work for one name; real configs have a handful.
constexpr size_t kMaxRegexes = 1024;

absl::Status CheckCount(absl::string_view key, size_t count) {
  if (count <= kMaxRegexes) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted, error_id::kRegex,
                   absl::StrCat(key, " has ", count, " entries, at most ",
                                kMaxRegexes, " can be matched"));
}

absl::StatusOr<PythonRegex> CompileFor(absl::string_view key,
                                       absl::string_view pattern) {
  absl::StatusOr<PythonRegex> regex = PythonRegex::Compile(pattern);
  if (!regex.ok()) return WithContext(regex.status(), key);
  return regex;
}

}  // namespace

absl::StatusOr<TargetRules> TargetRules::Create(const TargetConfig& config,
                                                const ModuleSelector& target) {
  TargetRules rules;
  PEFT_ASSIGN_OR_RETURN(rules.target_, Compile("target_modules", target));
  const ModuleSelector exclude =
      config.exclude_modules.value_or(ModuleSelector());
  // An empty string excludes nothing, not even a module without a name.
  if (!exclude.is_regex || !exclude.regex.empty()) {
    PEFT_ASSIGN_OR_RETURN(rules.exclude_, Compile("exclude_modules", exclude));
  }
  PEFT_RETURN_IF_ERROR(
      CheckCount("modules_to_save", config.modules_to_save.size()));
  PEFT_RETURN_IF_ERROR(
      CheckCount("layers_pattern", config.layers_pattern.size()));
  for (const std::string& name : config.modules_to_save) {
    PEFT_ASSIGN_OR_RETURN(
        PythonRegex regex,
        CompileFor("modules_to_save",
                   absl::StrCat(R"((^|.*\.))", name, R"(($|\..*))")));
    rules.saved_.push_back(std::move(regex));
  }
  rules.CompileLayers(config);
  return rules;
}

absl::StatusOr<TargetRules::Selector> TargetRules::Compile(
    absl::string_view key, const ModuleSelector& selector) {
  Selector compiled;
  if (selector.is_regex) {
    PEFT_ASSIGN_OR_RETURN(compiled.regex, CompileFor(key, selector.regex));
  } else {
    compiled.names = ModuleNames(selector.names);
  }
  return compiled;
}

void TargetRules::CompileLayers(const TargetConfig& config) {
  if (!config.layers_to_transform.has_value()) return;
  layers_.insert(config.layers_to_transform->begin(),
                 config.layers_to_transform->end());
  filters_layers_ = !layers_.empty();  // an empty list is no filter
  if (!filters_layers_) return;
  std::vector<std::string> patterns;
  for (const std::string& pattern : config.layers_pattern) {
    patterns.push_back(
        absl::StrCat(R"((?:^|.*?\.))", pattern, R"(\.(?P<idx>\d+)\.)"));
  }
  if (patterns.empty()) patterns = {kAnyLayer};
  for (const std::string& pattern : patterns) {
    layer_patterns_.push_back(CompileFor("layers_pattern", pattern));
  }
}

absl::StatusOr<TargetDecision> TargetRules::Decide(
    absl::string_view name) const {
  PEFT_ASSIGN_OR_RETURN(const bool excluded, IsExcluded(name));
  if (excluded) return TargetDecision::kExcluded;
  bool targeted = false;
  if (target_.regex.has_value()) {
    PEFT_ASSIGN_OR_RETURN(targeted, target_.regex->FullMatch(name));
  } else if (target_.names.Has(name)) {
    targeted = true;  // whatever its layer
  } else if (target_.names.HasSuffixOf(name)) {
    PEFT_ASSIGN_OR_RETURN(targeted, IsInLayers(name));
  }
  return targeted ? TargetDecision::kTargeted : TargetDecision::kNotTargeted;
}

absl::StatusOr<bool> TargetRules::IsExcluded(absl::string_view name) const {
  if (exclude_.regex.has_value()) {
    PEFT_ASSIGN_OR_RETURN(const bool excluded, exclude_.regex->FullMatch(name));
    if (excluded) return true;
  }
  if (exclude_.names.Has(name) || exclude_.names.HasSuffixOf(name)) return true;
  for (const PythonRegex& saved : saved_) {
    PEFT_ASSIGN_OR_RETURN(const bool matched, saved.Match(name));
    if (matched) return true;
  }
  return false;
}

absl::StatusOr<bool> TargetRules::IsInLayers(absl::string_view name) const {
  if (!filters_layers_) return true;
  for (const absl::StatusOr<PythonRegex>& pattern : layer_patterns_) {
    PEFT_RETURN_IF_ERROR(pattern.status());
    PEFT_ASSIGN_OR_RETURN(const bool matched, pattern->Match(name));
    if (!matched) continue;
    PEFT_ASSIGN_OR_RETURN(const auto digits, pattern->MatchGroup(name, "idx"));
    int64_t layer = 0;
    return digits.has_value() && absl::SimpleAtoi(*digits, &layer) &&
           layers_.count(layer) > 0;
  }
  return false;
}

}  // namespace peft
