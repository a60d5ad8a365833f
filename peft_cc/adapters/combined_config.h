// The config of an adapter that several became: what it targets.
#ifndef PEFT_CC_ADAPTERS_COMBINED_CONFIG_H_
#define PEFT_CC_ADAPTERS_COMBINED_CONFIG_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/base/json.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// INVALID_ARGUMENT (ADAPTER_NOT_COMBINABLE), about the source `name`.
absl::Status NotCombinable(const std::string& name, absl::string_view why);

// What a key of one source's config selects.
struct SourceSelector {
  std::string source;  // the adapter's name, for messages
  std::optional<ModuleSelector> selector;
  // The modules that it stands for where it names none: "all-linear", null.
  std::vector<std::string> modules;
};

// All that the selectors under `key` select, as PEFT has it: the names of lists
// without repetition, or "(first)|(second)". Fails with INVALID_ARGUMENT
// (ADAPTER_NOT_COMBINABLE) for regexes beside lists, as PEFT does.
absl::StatusOr<Json> UniteSelectors(
    absl::string_view key, const std::vector<SourceSelector>& selectors);

// A regex that matches these names and nothing else.
std::string RegexOfNames(const std::vector<std::string>& names);

// `config` with target_modules that name `modules` whole, as a list or a regex,
// and without all that chooses among them.
Json WithExactTargets(Json config, const Json& modules);

// A config of the result, and what it targets.
struct CombinedTargets {
  AdapterConfig config;
  std::vector<TargetSite> targets;
};

// `config` where it targets just the sites `wanted`, as PEFT's does mostly.
// Else, where the filters of the first source would drop some or a target of
// another hits more, one that names them.
absl::StatusOr<CombinedTargets> FitTargets(const SiteTable& sites,
                                           const Json& config,
                                           const std::set<int>& wanted);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_COMBINED_CONFIG_H_
