#include "peft_cc/adapters/combine_ia3.h"

#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/combined_config.h"
#include "peft_cc/algebra/weighted_lora.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// By site: true where the input is scaled, a feedforward module.
using Roles = std::map<int, bool>;

absl::Status CheckProgram(const CombineSource& source,
                          const SiteProgram& program) {
  const bool is_vector =
      program.size() == 1 && (std::holds_alternative<ScaleIn>(program[0]) ||
                              std::holds_alternative<ScaleOut>(program[0]));
  if (is_vector) return absl::OkStatus();
  return NotCombinable(source.name, "it replaces modules, which have no sum");
}

// What each site scales, in all sources.
absl::StatusOr<Roles> RolesOf(const SiteTable& sites,
                              absl::Span<const CombineSource> sources) {
  Roles roles;
  for (const CombineSource& source : sources) {
    if (source.scale != 1) {
      return NotCombinable(source.name,
                           absl::StrCat("its scale was set to ", source.scale,
                                        ", which IA3's vectors do not have; "
                                        "set it to 1"));
    }
    for (const Adapter::SiteEntry& entry : source.adapter->entries()) {
      PEFT_RETURN_IF_ERROR(CheckProgram(source, entry.program));
      const bool is_input = std::holds_alternative<ScaleIn>(entry.program[0]);
      const auto [found, is_new] = roles.emplace(entry.site, is_input);
      if (found->second == is_input) continue;
      return NotCombinable(
          source.name,
          absl::StrCat("module ", Quoted(sites.sites()[entry.site].name),
                       " is a feedforward module of some sources, "
                       "and none of others"));
    }
  }
  return roles;
}

absl::StatusOr<TensorMap> SumsOf(absl::Span<const CombineSource> sources) {
  std::map<std::string, std::pair<std::vector<Tensor>, std::vector<double>>>
      parts;
  for (const CombineSource& source : sources) {
    for (const auto& [name, tensor] : source.adapter->state_dict()) {
      parts[name].first.push_back(tensor);
      parts[name].second.push_back(source.weight);
    }
  }
  TensorMap sums;
  for (const auto& [name, part] : parts) {
    PEFT_ASSIGN_OR_RETURN(sums[name], CombineIa3(part.first, part.second));
  }
  return sums;
}

std::vector<std::string> NamesOf(const SiteTable& sites, const Roles& roles,
                                 bool inputs_only) {
  std::vector<std::string> names;
  for (const auto& [site, is_input] : roles) {
    if (is_input || !inputs_only) names.push_back(sites.sites()[site].name);
  }
  return names;
}

// The first source's config with the modules of all.
absl::StatusOr<Json> UnitedConfig(const SiteTable& sites,
                                  absl::Span<const CombineSource> sources) {
  std::vector<SourceSelector> targets, inputs;
  for (const CombineSource& source : sources) {
    const AdapterConfig& config = source.adapter->config();
    PEFT_ASSIGN_OR_RETURN(const Roles roles, RolesOf(sites, {&source, 1}));
    targets.push_back({source.name, config.targets.target_modules,
                       NamesOf(sites, roles, /*inputs_only=*/false)});
    inputs.push_back({source.name, config.ia3->feedforward_modules,
                      NamesOf(sites, roles, /*inputs_only=*/true)});
  }
  Json config = sources[0].adapter->config().json;
  PEFT_ASSIGN_OR_RETURN(config["target_modules"],
                        UniteSelectors("target_modules", targets));
  PEFT_ASSIGN_OR_RETURN(config["feedforward_modules"],
                        UniteSelectors("feedforward_modules", inputs));
  config["inference_mode"] = true;
  return config;
}

// Names in feedforward_modules match whatever ends with them: only a regex
// names modules exactly.
Json ExactConfig(const SiteTable& sites, const Json& config,
                 const Roles& roles) {
  const std::vector<std::string> inputs =
      NamesOf(sites, roles, /*inputs_only=*/true);
  Json exact = WithExactTargets(
      config, Json(RegexOfNames(NamesOf(sites, roles, /*inputs_only=*/false))));
  exact["feedforward_modules"] =
      inputs.empty() ? Json::array() : Json(RegexOfNames(inputs));
  return exact;
}

// An adapter of this config, if its sites have these roles.
absl::StatusOr<LoadedAdapter> Build(const SiteTable& sites,
                                    const std::string& name, const Json& json,
                                    const TensorMap& tensors,
                                    const Roles& roles) {
  PEFT_ASSIGN_OR_RETURN(AdapterConfig config,
                        ParseAdapterConfig(DumpJson(json)));
  PEFT_ASSIGN_OR_RETURN(
      LoadedAdapter loaded,
      BuildAdapter(sites, name, std::move(config), tensors, {}));
  const CombineSource built = {name, loaded.adapter, 1, 1};
  PEFT_ASSIGN_OR_RETURN(const Roles found, RolesOf(sites, {&built, 1}));
  if (found == roles) return loaded;
  return NotCombinable(name, "its config cannot name the modules of all");
}

}  // namespace

absl::StatusOr<LoadedAdapter> CombineIa3Adapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources) {
  PEFT_ASSIGN_OR_RETURN(const Roles roles, RolesOf(sites, sources));
  PEFT_ASSIGN_OR_RETURN(const Json config, UnitedConfig(sites, sources));
  PEFT_ASSIGN_OR_RETURN(const TensorMap tensors, SumsOf(sources));
  absl::StatusOr<LoadedAdapter> united =
      Build(sites, name, config, tensors, roles);
  if (united.ok()) return united;
  return Build(sites, name, ExactConfig(sites, config, roles), tensors, roles);
}

}  // namespace peft
