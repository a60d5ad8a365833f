#include "peft_cc/adapters/renamed_config.h"

#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "peft_cc/adapters/combined_config.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace {

// A name or the end of one: only one with the bare model's name before it is
// whole, and has to change where the model has none.
std::string RenamedEnd(const KeyMap& keys, absl::string_view end) {
  if (keys.style == NameStyle::kWithOuter) {
    absl::ConsumePrefix(&end, keys.outer);
  }
  return std::string(end);
}

// A key of rank_pattern, alpha_pattern: the end of a name, or with "^" a whole
// one. AdaLoRA's are whole names.
std::string RenamedPattern(const KeyMap& keys, absl::string_view pattern,
                           bool is_name) {
  if (is_name) return keys.ModuleInModel(pattern);
  if (!absl::ConsumePrefix(&pattern, "^")) return RenamedEnd(keys, pattern);
  return absl::StrCat("^", keys.ModuleInModel(pattern));
}

void RenameList(const KeyMap& keys, Json& list) {
  if (!list.is_array()) return;
  for (Json& item : list) {
    if (item.is_string()) item = RenamedEnd(keys, item.get<std::string>());
  }
}

template <typename Rename>
void RenameKeys(Json& object, const Rename& rename) {
  if (!object.is_object()) return;
  Json renamed = Json::object();
  auto& items = JsonEntries(renamed);
  std::unordered_map<std::string, size_t> places;
  for (const auto& item : object.items()) {
    std::string key = rename(item.key());
    const auto [place, is_new] = places.emplace(key, items.size());
    if (is_new) {
      items.emplace_back(std::move(key), item.value());
    } else {
      items[place->second].second = item.value();
    }
  }
  object = std::move(renamed);
}

Json Renamed(Json json, const KeyMap& keys, bool patterns_are_names) {
  for (const char* const key :
       {"target_modules", "exclude_modules", "feedforward_modules",
        "modules_to_save", "target_parameters"}) {
    if (json.contains(key)) RenameList(keys, json[key]);
  }
  if (json.contains("trainable_token_indices")) {
    RenameKeys(json["trainable_token_indices"],
               [&](const std::string& key) { return RenamedEnd(keys, key); });
  }
  for (const char* const key : {"rank_pattern", "alpha_pattern"}) {
    if (!json.contains(key)) continue;
    RenameKeys(json[key], [&](const std::string& pattern) {
      return RenamedPattern(keys, pattern, patterns_are_names);
    });
  }
  return json;
}

std::set<int> SitesOf(const std::vector<TargetSite>& targets) {
  std::set<int> sites;
  for (const TargetSite& target : targets) sites.insert(target.site);
  return sites;
}

}  // namespace

AdapterConfig RenamedConfig(AdapterConfig config, const SiteTable& sites,
                            const std::vector<TargetSite>& targets,
                            const KeyMap& keys) {
  if (keys.style == NameStyle::kSame) return config;
  const bool patterns_are_names = config.adalora.has_value();
  const std::set<int> wanted = SitesOf(targets);
  absl::StatusOr<CombinedTargets> fitting =
      FitTargets(sites, Renamed(config.json, keys, patterns_are_names), wanted);
  // What was only loaded leniently, or names parameters beside modules, stays.
  if (!fitting.ok() || SitesOf(fitting->targets) != wanted) return config;
  fitting->config.notes = std::move(config.notes);
  fitting->config.ignored_keys = std::move(config.ignored_keys);
  return std::move(fitting->config);
}

}  // namespace peft
