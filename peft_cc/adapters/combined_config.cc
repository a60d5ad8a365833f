#include "peft_cc/adapters/combined_config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

bool IsRegex(const SourceSelector& source) {
  return source.selector.has_value() && source.selector->is_regex &&
         !source.selector->IsAllLinear();
}

// PEFT replaces "all-linear" and null by names when it loads.
const std::vector<std::string>& NamesOf(const SourceSelector& source) {
  const bool has_names =
      source.selector.has_value() && !source.selector->is_regex;
  return has_names ? source.selector->names : source.modules;
}

absl::Status MixedSelectors(absl::string_view key, const SourceSelector& first,
                            const SourceSelector& other) {
  const char* const kinds[] = {"a list", "a regex"};
  return NotCombinable(
      other.source,
      absl::StrCat("its ", key, " is ", kinds[IsRegex(other)], ", that of ",
                   Quoted(first.source), " ", kinds[IsRegex(first)],
                   "; write both in one way"));
}

std::string Escaped(absl::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (absl::ascii_ispunct(c) && c != '_') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::vector<std::string> NamesOf(const SiteTable& sites,
                                 const std::set<int>& indices) {
  std::vector<std::string> names;
  for (const int index : indices) names.push_back(sites.sites()[index].name);
  return names;
}

absl::StatusOr<CombinedTargets> TargetsOf(const SiteTable& sites,
                                          const Json& json) {
  CombinedTargets result;
  PEFT_ASSIGN_OR_RETURN(result.config, ParseAdapterConfig(DumpJson(json)));
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(
      result.targets,
      FindTargetSites(result.config.targets, result.config.base.task_type,
                      *FindMethod(result.config.base.peft_type), sites,
                      KeyMap(), &notes));
  return result;
}

std::set<int> SitesOf(const std::vector<TargetSite>& targets) {
  std::set<int> sites;
  for (const TargetSite& target : targets) sites.insert(target.site);
  return sites;
}

}  // namespace

absl::Status NotCombinable(const std::string& name, absl::string_view why) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterNotCombinable,
      absl::StrCat("adapter ", Quoted(name), " cannot be combined: ", why),
      {name, "", ""});
}

absl::StatusOr<Json> UniteSelectors(
    absl::string_view key, const std::vector<SourceSelector>& selectors) {
  std::vector<std::string> regexes, names;
  for (const SourceSelector& source : selectors) {
    if (IsRegex(source) != IsRegex(selectors[0])) {
      return MixedSelectors(key, selectors[0], source);
    }
    if (IsRegex(source)) {
      regexes.push_back(absl::StrCat("(", source.selector->regex, ")"));
      continue;
    }
    for (const std::string& name : NamesOf(source)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  if (regexes.empty()) return Json(names);
  return Json(absl::StrJoin(regexes, "|"));
}

std::string RegexOfNames(const std::vector<std::string>& names) {
  return absl::StrJoin(names, "|", [](std::string* out, const auto& name) {
    absl::StrAppend(out, Escaped(name));
  });
}

Json WithExactTargets(Json config, const Json& modules) {
  config["target_modules"] = modules;
  for (const char* const key :
       {"exclude_modules", "layers_to_transform", "layers_pattern"}) {
    if (config.contains(key)) config[key] = nullptr;
  }
  if (config.contains("ensure_weight_tying")) {
    config["ensure_weight_tying"] = false;
  }
  return config;
}

absl::StatusOr<CombinedTargets> FitTargets(const SiteTable& sites,
                                           const Json& config,
                                           const std::set<int>& wanted) {
  absl::StatusOr<CombinedTargets> result = TargetsOf(sites, config);
  if (result.ok() && SitesOf(result->targets) == wanted) return result;
  const std::vector<std::string> names = NamesOf(sites, wanted);
  result = TargetsOf(sites, WithExactTargets(config, Json(names)));
  if (result.ok() && SitesOf(result->targets) == wanted) return result;
  // A name may be the end of another one, too.
  return TargetsOf(sites, WithExactTargets(config, Json(RegexOfNames(names))));
}

}  // namespace peft
