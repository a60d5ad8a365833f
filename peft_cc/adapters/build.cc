// BuildAdapter: config and tensors become the programs of a model's sites.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/completeness.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/renamed_config.h"
#include "peft_cc/adapters/replicated_layers.h"
#include "peft_cc/adapters/saved_base_weights.h"
#include "peft_cc/adapters/saved_modules.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/tensor_taker.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/adapters/trained_tokens.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/method.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

// By site, in module order.
using Programs = std::map<int, SiteProgram>;

// What the adapter itself puts in place of the weight, else the base's.
const Tensor& WeightBelow(const SiteTable& sites, int index,
                          const Programs& programs) {
  const auto found = programs.find(index);
  if (found != programs.end() && !found->second.empty()) {
    const auto* replace = std::get_if<Replace>(&found->second.front());
    if (replace != nullptr) return replace->weight;
  }
  return sites.sites()[index].weight;
}

std::vector<Layer> LayersOf(const SiteTable& sites,
                            const std::vector<TargetSite>& targets,
                            const std::vector<int>& wrapped_weights,
                            const Programs& programs) {
  std::vector<Layer> layers;
  layers.reserve(targets.size());
  for (const TargetSite& target : targets) {
    layers.push_back(
        LayerOf(sites, target, WeightBelow(sites, target.site, programs)));
    layers.back().is_after_init =
        std::find(wrapped_weights.begin(), wrapped_weights.end(),
                  target.site) != wrapped_weights.end();
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

absl::StatusOr<LayerTensors> TakeTensors(const Method& method, size_t index,
                                         const SiteTable& sites,
                                         const TargetSite& target,
                                         TensorTaker& taker) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<TensorSpec> specs,
                        method.Tensors(index));
  const auto reason = [&] {
    return ShapeReason(sites.sites()[target.site], method.ShapeReason(index));
  };
  LayerTensors tensors;
  for (const TensorSpec& spec : specs) {
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<Tensor> tensor,
        taker.Take(target.file_module, spec.part, spec.shape, reason));
    if (tensor.has_value()) tensors.emplace(spec.part, *tensor);
  }
  return tensors;
}

// A factor other than 1 comes with plain LoRA only.
void Scale(float factor, SiteProgram& program) {
  for (Form& form : program) {
    auto* const low_rank = std::get_if<LowRank>(&form);
    if (low_rank != nullptr) low_rank->scale *= factor;
  }
}

// Adds the method's forms to the programs.
absl::Status LowerTargets(const Method& method, const SiteTable& sites,
                          const std::vector<TargetSite>& targets,
                          const LowerServices& services, TensorTaker& taker,
                          Programs& programs) {
  for (size_t i = 0; i < targets.size(); ++i) {
    const TargetSite& target = targets[i];
    PEFT_ASSIGN_OR_RETURN(const LayerTensors tensors,
                          TakeTensors(method, i, sites, target, taker));
    for (int expert = 0; expert < target.num_sites; ++expert) {
      PEFT_ASSIGN_OR_RETURN(
          SiteProgram forms,
          target.is_parameter ? method.LowerExpert(i, expert, tensors, services)
                              : method.Lower(i, tensors, services));
      Scale(target.factor, forms);
      SiteProgram& program = programs[target.site + expert];
      std::move(forms.begin(), forms.end(), std::back_inserter(program));
    }
  }
  return absl::OkStatus();
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

// With ensure_weight_tying PEFT adapts a head with its embedding only where one
// of both is named "embed_tokens" or "lm_head", and then writes the embedding
// into target_modules instead. An adapter of another embedding so loses the
// head's factors when PEFT loads it.
absl::Status CheckNoHeadIsLost(const TargetConfig& config,
                               const SiteTable& sites,
                               const TensorTaker& taker) {
  if (!config.ensure_weight_tying) return absl::OkStatus();
  for (const int head : FindTiedHeads(sites, FindInputEmbedding(sites))) {
    const std::string& name = sites.sites()[head].name;
    if (taker.Peek(name, "lora_A.weight") == nullptr) continue;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kTensorUnexpected,
        absl::StrCat("the file has factors of ", Quoted(name),
                     ", which target_modules does not name; PEFT saves such "
                     "with ensure_weight_tying, and loses them when it loads: "
                     "add ",
                     Quoted(name), " to target_modules"),
        {absl::StrCat(name, ".lora_A.weight"), "", ""});
  }
  return absl::OkStatus();
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
  PEFT_RETURN_IF_ERROR(CheckReplicatedLayers(config.targets, sites, report));
  PEFT_ASSIGN_OR_RETURN(const KeyMap keys,
                        MapKeys(tensors, sites, info->prefix));
  AddNotes(keys.notes, report);
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(const std::vector<TargetSite> targets,
                        FindTargetSites(config.targets, config.base.task_type,
                                        *info, sites, keys, &notes));
  TensorTaker taker(std::move(tensors), &keys, &report);
  Programs programs;
  PEFT_RETURN_IF_ERROR(
      TakeSavedModules(config.targets, sites, targets, keys, taker, programs));
  const std::vector<int> wrapped = SitesOfWrappedWeights(sites, taker);
  PEFT_RETURN_IF_ERROR(SettleSavedBaseWeights(sites, taker, report, programs));
  PEFT_RETURN_IF_ERROR(
      TakeTrainedTokens(config.targets, sites, targets, keys, taker, programs));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<Method> method,
      info->create(config, sites.model_type(),
                   LayersOf(sites, targets, wrapped, programs), &notes));
  AddNotes(notes, report);
  LowerServices services;
  if (options.pool != nullptr) services.pool = options.pool;
  PEFT_RETURN_IF_ERROR(
      LowerTargets(*method, sites, targets, services, taker, programs));
  PEFT_RETURN_IF_ERROR(TakeTrainedBiases(config.targets.bias, sites, targets,
                                         keys, taker, programs));
  SettleSavedBaseBiases(sites, taker, report);
  if (!options.lenient) {
    PEFT_RETURN_IF_ERROR(CheckNoHeadIsLost(config.targets, sites, taker));
  }
  PEFT_RETURN_IF_ERROR(
      CheckCompleteness(taker, config.base.task_type, options.lenient, report));
  taker.ReportNonFinite(*services.pool);
  std::vector<Adapter::SiteEntry> entries = EntriesOf(std::move(programs));
  report.num_sites = static_cast<int64_t>(entries.size());
  return LoadedAdapter{
      std::make_shared<Adapter>(
          RenamedConfig(std::move(config), sites, targets, keys),
          taker.ReleaseStateDict(), std::move(entries)),
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
