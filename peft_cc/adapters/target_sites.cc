#include "peft_cc/adapters/target_sites.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/target_matcher.h"

namespace peft {
namespace {

// What "all-linear" leaves out: an output embedding, and where there is none
// the classifier of an adapter that was trained to classify sequences.
bool IsLeftOut(const Site& site, absl::string_view task_type) {
  return site.is_output_embedding ||
         (site.is_classifier && task_type == "SEQ_CLS");
}

// All modules of the model under the names that the trained model gave them.
std::vector<ModuleInfo> ModulesAsTrained(const SiteTable& sites,
                                         const KeyMap& keys,
                                         absl::string_view task_type) {
  std::vector<ModuleInfo> modules;
  modules.reserve(sites.module_names().size());
  for (const std::string& name : sites.module_names()) {
    ModuleInfo info;
    info.name = keys.ModuleInFile(name);
    if (info.name.empty()) continue;
    const int index = sites.Find(name);
    if (index >= 0) {
      const Site& site = sites.sites()[index];
      info.is_linear =
          site.kind == SiteKind::kLinear || site.kind == SiteKind::kConv1D;
      info.is_output_embedding = IsLeftOut(site, task_type);
    }
    modules.push_back(std::move(info));
  }
  return modules;
}

// PEFT raises "Target module ... is not supported" here.
absl::Status UnsupportedTarget(const std::string& name, const char* kind) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("target module ", Quoted(name), " is ", kind,
                   "; LoRA adapts linear layers and embeddings only, correct "
                   "target_modules"),
      {"target_modules", "a linear layer or an embedding",
       absl::StrCat(name, " (", kind, ")")});
}

absl::StatusOr<TargetSite> SiteOfTarget(const SiteTable& sites,
                                        const KeyMap& keys,
                                        const TargetMatch& match) {
  const std::string name = keys.ModuleInModel(match.name);
  const int index = sites.Find(name);
  if (index < 0) return UnsupportedTarget(name, "not a layer with weights");
  if (sites.sites()[index].kind == SiteKind::kNorm) {
    return UnsupportedTarget(name, "a normalisation layer");
  }
  return TargetSite{index, {match.r, match.alpha}};
}

bool AnyOfKind(const SiteTable& sites, const std::vector<TargetSite>& targets,
               SiteKind kind) {
  return std::any_of(targets.begin(), targets.end(),
                     [&](const TargetSite& target) {
                       return sites.sites()[target.site].kind == kind;
                     });
}

// PEFT corrects the field layer by layer.
void NoteFanInFanOut(const LoraConfig& config, const SiteTable& sites,
                     const std::vector<TargetSite>& targets,
                     std::vector<std::string>* out_notes) {
  if (config.fan_in_fan_out && AnyOfKind(sites, targets, SiteKind::kLinear)) {
    out_notes->push_back(
        "fan_in_fan_out is true, but linear layers store their weights as "
        "(out, in); there it is taken as false, as PEFT does");
  }
  if (!config.fan_in_fan_out && AnyOfKind(sites, targets, SiteKind::kConv1D)) {
    out_notes->push_back(
        "fan_in_fan_out is false, but Conv1D layers store their weights as "
        "(in, out); there it is taken as true, as PEFT does");
  }
}

}  // namespace

absl::StatusOr<std::vector<TargetSite>> FindTargetSites(
    const LoraConfig& config, absl::string_view task_type,
    const SiteTable& sites, const KeyMap& keys,
    std::vector<std::string>* out_notes) {
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<TargetMatch> matches,
      MatchTargets(config, ModulesAsTrained(sites, keys, task_type),
                   sites.model_type(), out_notes));
  std::vector<TargetSite> targets;
  targets.reserve(matches.size());
  for (const TargetMatch& match : matches) {
    PEFT_ASSIGN_OR_RETURN(const TargetSite target,
                          SiteOfTarget(sites, keys, match));
    targets.push_back(target);
  }
  NoteFanInFanOut(config, sites, targets, out_notes);
  return targets;
}

}  // namespace peft
