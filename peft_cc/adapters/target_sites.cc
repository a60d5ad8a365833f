#include "peft_cc/adapters/target_sites.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/target_parameters.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/target_matcher.h"

namespace peft {
namespace {

constexpr char kOutProjection[] = "out_proj";

// What "all-linear" leaves out: an output embedding, and where there is none
// the classifier of an adapter that was trained to classify sequences.
bool IsLeftOut(const Site& site, absl::string_view task_type) {
  return site.is_output_embedding ||
         (site.is_classifier && task_type == "SEQ_CLS");
}

bool IsLinear(const Site& site) {
  return site.kind == SiteKind::kLinear || site.kind == SiteKind::kConv1D;
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
      info.is_linear = IsLinear(site);
      info.is_output_embedding = IsLeftOut(site, task_type);
    }
    modules.push_back(std::move(info));
  }
  return modules;
}

const char* KindInWords(SiteKind kind) {
  switch (kind) {
    case SiteKind::kLinear:
      return "a linear layer";
    case SiteKind::kConv1D:
      return "a Conv1D";
    case SiteKind::kEmbedding:
      return "an embedding";
    case SiteKind::kNorm:
      return "a normalisation layer";
    case SiteKind::kConvolution:
      return "a convolution";
    case SiteKind::kMultiheadAttention:
      return "a MultiheadAttention";
    case SiteKind::kParameter:
      return "a parameter";
  }
  return "another layer";
}

// PEFT raises "Target module ... is not supported" here.
absl::Status UnsupportedTarget(const MethodInfo& method,
                               const std::string& name, const char* kind) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("target module ", Quoted(name), " is ", kind,
                                "; ", method.title, " can only adapt ",
                                method.adapts, ": correct target_modules"),
                   {"target_modules", std::string(method.adapts),
                    absl::StrCat(name, " (", kind, ")")});
}

absl::StatusOr<TargetSite> SiteOfTarget(const MethodInfo& method,
                                        const SiteTable& sites,
                                        const KeyMap& keys,
                                        const std::string& match) {
  const std::string name = keys.ModuleInModel(match);
  const int index = sites.Find(name);
  if (index < 0) {
    return UnsupportedTarget(method, name, "not a layer with weights");
  }
  const SiteKind kind = sites.sites()[index].kind;
  if (std::find(method.kinds.begin(), method.kinds.end(), kind) ==
      method.kinds.end()) {
    return UnsupportedTarget(method, name, KindInWords(kind));
  }
  return TargetSite{index, match, name};
}

// PEFT adapts both products of a MultiheadAttention, with one rank. Its merge,
// by which its forward works too, adds the part of out_proj to the weight, and
// then has out_proj merge, which adds it again. As training saw it twice, what
// was trained needs it twice.
absl::StatusOr<TargetSite> OutProjection(const SiteTable& sites,
                                         const TargetSite& attention) {
  const std::string name =
      absl::StrCat(attention.file_module, ".", kOutProjection);
  const int index = sites.Find(name);
  if (index >= 0 && sites.sites()[index].kind == SiteKind::kLinear) {
    TargetSite out = {
        index, attention.name,
        absl::StrCat(attention.file_module, ".base_layer.", kOutProjection)};
    out.factor = 2;
    return out;
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("target module ", Quoted(attention.file_module),
                   " is a MultiheadAttention, but the model has no linear "
                   "layer ",
                   Quoted(name), ", which is adapted with it"),
      {name, "a linear layer", "none"});
}

bool IsTarget(const std::vector<TargetSite>& targets, int site) {
  return std::any_of(
      targets.begin(), targets.end(),
      [site](const TargetSite& target) { return target.site == site; });
}

// With ensure_weight_tying what is done to the embedding is done to its head,
// and the other way round. PEFT looks for these names only.
void AddTied(const SiteTable& sites, const KeyMap& keys,
             std::vector<TargetSite>& targets) {
  const int embedding = FindInputEmbedding(sites);
  std::vector<int> tied = FindTiedHeads(sites, embedding);
  if (tied.empty()) return;
  tied.push_back(embedding);
  const bool any = std::any_of(tied.begin(), tied.end(), [&](int site) {
    const absl::string_view name = sites.sites()[site].name;
    const absl::string_view last = name.substr(name.rfind('.') + 1);
    return (last == "embed_tokens" || last == "lm_head") &&
           IsTarget(targets, site);
  });
  for (const int site : tied) {
    const std::string& name = sites.sites()[site].name;
    if (!any || IsTarget(targets, site)) continue;
    targets.push_back({site, keys.ModuleInFile(name), name});
  }
}

// PEFT corrects the flag itself, with a warning, so that it never matters.
void NoteFanInFanOut(const TargetConfig& config, const SiteTable& sites,
                     const std::vector<TargetSite>& targets,
                     std::vector<std::string>* out_notes) {
  const auto stored_otherwise = [&](const TargetSite& target) {
    const SiteKind kind = sites.sites()[target.site].kind;
    return config.fan_in_fan_out ? kind == SiteKind::kLinear
                                 : kind == SiteKind::kConv1D;
  };
  if (std::none_of(targets.begin(), targets.end(), stored_otherwise)) return;
  const bool flag = config.fan_in_fan_out;
  out_notes->push_back(
      absl::StrCat("fan_in_fan_out is ", flag ? "true" : "false",
                   ", but this model's layers store their weights as ",
                   flag ? "(out, in)" : "(in, out)", "; it is taken as ",
                   flag ? "false" : "true", ", as PEFT does"));
}

}  // namespace

absl::StatusOr<std::vector<TargetSite>> FindTargetSites(
    const TargetConfig& config, absl::string_view task_type,
    const MethodInfo& method, const SiteTable& sites, const KeyMap& keys,
    std::vector<std::string>* out_notes) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> matches,
                        MatchTargets(config, std::string(method.peft_type),
                                     ModulesAsTrained(sites, keys, task_type),
                                     sites.model_type(), out_notes));
  std::vector<TargetSite> targets;
  targets.reserve(matches.size());
  for (const std::string& match : matches) {
    PEFT_ASSIGN_OR_RETURN(TargetSite target,
                          SiteOfTarget(method, sites, keys, match));
    // The out_proj of an attention that is a target, too.
    if (IsTarget(targets, target.site)) continue;
    const SiteKind kind = sites.sites()[target.site].kind;
    targets.push_back(std::move(target));
    if (kind != SiteKind::kMultiheadAttention) continue;
    PEFT_ASSIGN_OR_RETURN(TargetSite out, OutProjection(sites, targets.back()));
    targets.push_back(std::move(out));
  }
  if (config.ensure_weight_tying) AddTied(sites, keys, targets);
  PEFT_RETURN_IF_ERROR(
      AddParameterTargets(config, method, sites, keys, targets));
  NoteFanInFanOut(config, sites, targets, out_notes);
  return targets;
}

std::vector<std::string> AllLinearNames(const SiteTable& sites,
                                        absl::string_view task_type) {
  std::vector<std::string> names;
  for (const Site& site : sites.sites()) {
    if (IsLinear(site) && !IsLeftOut(site, task_type)) {
      names.push_back(site.name);
    }
  }
  return names;
}

Layer LayerOf(const SiteTable& sites, const TargetSite& target,
              const Tensor& weight) {
  const Site& site = sites.sites()[target.site];
  return {
      target.name,      target.is_parameter ? SiteKind::kParameter : site.kind,
      site.in_features, site.out_features,
      weight,           site.conv,
      target.num_sites};
}

}  // namespace peft
