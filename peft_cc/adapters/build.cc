// BuildAdapter: config and tensors become the programs of a model's sites.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/completeness.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/saved_base_weights.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/tensor_taker.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/method.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

// By site, in module order.
using Programs = std::map<int, SiteProgram>;

// Methods know layers, not sites: they stand below this folder.
std::vector<Layer> LayersOf(const SiteTable& sites,
                            const std::vector<TargetSite>& targets) {
  std::vector<Layer> layers;
  layers.reserve(targets.size());
  for (const TargetSite& target : targets) {
    const Site& site = sites.sites()[target.site];
    layers.push_back({target.name, site.kind, site.in_features,
                      site.out_features, site.weight});
  }
  return layers;
}

// Where the expected shape of a tensor comes from.
std::string ShapeReason(const Site& site, const std::string& of_method) {
  return absl::StrCat(of_method, of_method.empty() ? "" : ", ", "module ",
                      Quoted(site.name), " with ", site.in_features, " inputs ",
                      "and ", site.out_features,
                      " outputs; was it trained for another base model, or "
                      "does adapter_config.json belong to another file?");
}

absl::StatusOr<SiteProgram> LowerTarget(const Method& method, size_t index,
                                        const Site& site,
                                        const LowerServices& services,
                                        TensorTaker& taker) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<TensorSpec> specs,
                        method.Tensors(index));
  const std::string reason = ShapeReason(site, method.ShapeReason(index));
  LayerTensors tensors;
  for (const TensorSpec& spec : specs) {
    PEFT_ASSIGN_OR_RETURN(const std::optional<Tensor> tensor,
                          taker.Take(site.name, spec.part, spec.shape, reason));
    if (tensor.has_value()) tensors.emplace(spec.part, *tensor);
  }
  return method.Lower(index, tensors, services);
}

absl::StatusOr<Programs> LowerTargets(const Method& method,
                                      const SiteTable& sites,
                                      const std::vector<TargetSite>& targets,
                                      const LowerServices& services,
                                      TensorTaker& taker) {
  Programs programs;
  for (size_t i = 0; i < targets.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(programs[targets[i].site],
                          LowerTarget(method, i, sites.sites()[targets[i].site],
                                      services, taker));
  }
  return programs;
}

// A program may be empty: a trained bias that equals the base's, or, when
// lenient, factors that are missing.
std::vector<Adapter::SiteEntry> EntriesOf(Programs programs) {
  std::vector<Adapter::SiteEntry> entries;
  entries.reserve(programs.size());
  for (auto& [site, program] : programs) {
    if (!program.empty()) entries.push_back({site, std::move(program)});
  }
  return entries;
}

void AddNotes(const std::vector<std::string>& notes, LoadReport& report) {
  for (const std::string& note : notes) {
    report.lines.push_back({ReportKind::kNote, "", note});
  }
}

void AddConfigLines(const AdapterConfig& config, LoadReport& report) {
  report.peft_type = config.base.peft_type;
  for (const std::string& key : config.ignored_keys) {
    report.lines.push_back(
        {ReportKind::kIgnoredKey, key, "is not understood and was ignored"});
  }
  AddNotes(config.notes, report);
}

absl::Status CannotRun(const AdapterConfig& config) {
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kAdapterMethodUnsupported,
      absl::StrCat("adapters of type ", Quoted(config.base.peft_type),
                   " cannot run yet, only ", MethodNames(", ")),
      {"peft_type", MethodNames(", "), config.base.peft_type});
}

// The order decides which error wins where several things are wrong: the file's
// own contradictions, the targets, tensors that do not fit, and only then what
// is missing or left over.
absl::StatusOr<LoadedAdapter> Build(const SiteTable& sites,
                                    const std::string& name,
                                    AdapterConfig config, TensorMap tensors,
                                    const AdapterLoadOptions& options) {
  const MethodInfo* info = FindMethod(config.base.peft_type);
  if (info == nullptr) return CannotRun(config);
  LoadReport report;
  report.adapter_name = name;
  AddConfigLines(config, report);
  PEFT_ASSIGN_OR_RETURN(const KeyMap keys,
                        MapKeys(tensors, sites, info->prefix));
  AddNotes(keys.notes, report);
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<TargetSite> targets,
      FindTargetSites(config.targets, *info, sites, keys, &notes));
  PEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Method> method,
                        info->create(config, LayersOf(sites, targets), &notes));
  AddNotes(notes, report);
  LowerServices services;
  if (options.pool != nullptr) services.pool = options.pool;
  TensorTaker taker(std::move(tensors), &keys, &report);
  PEFT_RETURN_IF_ERROR(SettleSavedBaseWeights(sites, taker, report));
  PEFT_ASSIGN_OR_RETURN(Programs programs,
                        LowerTargets(*method, sites, targets, services, taker));
  PEFT_RETURN_IF_ERROR(TakeTrainedBiases(config.targets.bias, sites, targets,
                                         keys, taker, programs));
  PEFT_RETURN_IF_ERROR(CheckCompleteness(taker, options.lenient, report));
  std::vector<Adapter::SiteEntry> entries = EntriesOf(std::move(programs));
  report.num_sites = static_cast<int64_t>(entries.size());
  return LoadedAdapter{
      std::make_shared<Adapter>(std::move(config), taker.ReleaseStateDict(),
                                std::move(entries)),
      std::move(report)};
}

}  // namespace

absl::StatusOr<LoadedAdapter> BuildAdapter(const SiteTable& sites,
                                           const std::string& name,
                                           AdapterConfig config,
                                           TensorMap tensors,
                                           const AdapterLoadOptions& options) {
  absl::StatusOr<LoadedAdapter> loaded =
      Build(sites, name, std::move(config), std::move(tensors), options);
  if (loaded.ok()) return loaded;
  return WithContext(loaded.status(), absl::StrCat("adapter ", Quoted(name)));
}

}  // namespace peft
