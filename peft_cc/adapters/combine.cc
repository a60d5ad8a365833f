#include "peft_cc/adapters/combine.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/combine_ia3.h"
#include "peft_cc/adapters/combined_config.h"
#include "peft_cc/adapters/combined_layer.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/algebra/weighted_lora.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

using Tokens = std::vector<int64_t>;

absl::Status CheckProgram(const CombineSource& source, const Site& site,
                          const SiteProgram& program) {
  const bool has_factors_only =
      std::all_of(program.begin(), program.end(), [](const Form& form) {
        return std::holds_alternative<LowRank>(form) ||
               std::holds_alternative<MagnitudeScale>(form);
      });
  if (has_factors_only && std::holds_alternative<LowRank>(program.front())) {
    return absl::OkStatus();
  }
  return NotCombinable(source.name,
                       absl::StrCat("it changes a bias of ", Quoted(site.name),
                                    ", or replaces it or rows of it, which the "
                                    "factors of a LoRA cannot hold"));
}

// Both are adapted as one, and factors that are not each other's transposes
// would no longer be.
absl::Status CheckIsNotTied(const CombineSource& source,
                            const SiteTable& sites) {
  if (!source.adapter->config().targets.ensure_weight_tying) {
    return absl::OkStatus();
  }
  for (const int head : FindTiedHeads(sites, FindInputEmbedding(sites))) {
    if (source.adapter->FindProgram(head) == nullptr) continue;
    return NotCombinable(
        source.name,
        absl::StrCat("ensure_weight_tying ties what it does to ",
                     Quoted(sites.sites()[head].name), " to the embedding"));
  }
  return absl::OkStatus();
}

absl::Status CheckConfig(const CombineSource& source, const Tokens& tokens) {
  const AdapterConfig& config = source.adapter->config();
  if (!config.lora.has_value() || config.base.peft_type != "LORA") {
    return NotCombinable(source.name,
                         absl::StrCat("it is of type ", config.base.peft_type,
                                      "; sources must be LORA, or all IA3"));
  }
  if (!config.targets.target_parameters.empty()) {
    return NotCombinable(source.name, "it has target_parameters");
  }
  if (config.targets.bias != BiasMode::kNone || config.lora->lora_bias) {
    return NotCombinable(source.name,
                         "it was trained with biases, which have no sum here");
  }
  if (config.lora->alora_invocation_tokens == tokens) return absl::OkStatus();
  return NotCombinable(source.name,
                       "its alora_invocation_tokens are not those of the first "
                       "adapter, so that they act on other positions");
}

absl::Status CheckSource(const SiteTable& sites, const CombineSource& source,
                         const Tokens& tokens) {
  PEFT_RETURN_IF_ERROR(CheckConfig(source, tokens));
  for (const Adapter::SiteEntry& entry : source.adapter->entries()) {
    PEFT_RETURN_IF_ERROR(
        CheckProgram(source, sites.sites()[entry.site], entry.program));
  }
  return CheckIsNotTied(source, sites);
}

// PEFT's rank of a source.
int64_t RankOf(const LoraConfig& config) {
  int64_t rank = config.r;
  for (const auto& item : config.rank_pattern) {
    rank = std::max(rank, item.second);
  }
  return rank;
}

// Makes one adapter of LORA sources that CheckSource takes.
class Combiner {
 public:
  Combiner(const SiteTable& sites, absl::Span<const CombineSource> sources,
           const CombineOptions& options, kernels::ThreadPool& pool)
      : sites_(sites),
        sources_(sources),
        svd_rank_(options.svd_rank),
        pool_(pool) {
    layer_options_.seed = options.seed;
    layer_options_.combination.type = options.type;
    layer_options_.combination.density = options.density;
    layer_options_.combination.majority_sign_method =
        options.majority_sign_method;
    layer_options_.combination.svd_clamp = options.svd_clamp;
  }

  absl::StatusOr<LoadedAdapter> Combine(const std::string& name) {
    PEFT_RETURN_IF_ERROR(SettleType());
    PEFT_RETURN_IF_ERROR(SettleRank());
    PEFT_RETURN_IF_ERROR(CheckGroups());
    PEFT_ASSIGN_OR_RETURN(const Json json, ConfigJson());
    PEFT_ASSIGN_OR_RETURN(CombinedTargets found,
                          FitTargets(sites_, json, ChangedSites()));
    LayerCombiner layers(sites_, sources_, layer_options_, pool_);
    TensorMap tensors;
    for (const TargetSite& target : found.targets) {
      PEFT_RETURN_IF_ERROR(layers.Combine(target, tensors));
    }
    return BuildAdapter(sites_, name, std::move(found.config),
                        std::move(tensors), {});
  }

 private:
  // One source has nothing to be combined with: PEFT takes its factors.
  absl::Status SettleType() {
    CombinationType& type = layer_options_.combination.type;
    const auto folded = std::find_if(sources_.begin(), sources_.end(),
                                     [](const auto& s) { return IsFolded(s); });
    layer_options_.is_folding = folded != sources_.end();
    if (!layer_options_.is_folding) {
      if (sources_.size() == 1) type = CombinationType::kLinear;
      return absl::OkStatus();
    }
    if (GetCombinationTarget(type) == CombinationTarget::kDelta) {
      return absl::OkStatus();
    }
    return NotCombinable(
        folded->name,
        "it is DoRA, or takes a part of the base away: its change of the "
        "weight has no factors; use a type that ends in svd");
  }

  absl::Status SettleRank() {
    std::vector<int64_t> ranks;
    for (const CombineSource& source : sources_) {
      ranks.push_back(RankOf(*source.adapter->config().lora));
    }
    PEFT_ASSIGN_OR_RETURN(
        layer_options_.combination.rank,
        CombinedRank(layer_options_.combination.type, ranks, svd_rank_));
    return absl::OkStatus();
  }

  // B has a block for each group, so that there is no product B A.
  absl::Status CheckGroups() const {
    if (GetCombinationTarget(layer_options_.combination.type) ==
        CombinationTarget::kFactors) {
      return absl::OkStatus();
    }
    for (const CombineSource& source : sources_) {
      for (const Adapter::SiteEntry& entry : source.adapter->entries()) {
        const Site& site = sites_.sites()[entry.site];
        if (site.conv.groups <= 1) continue;
        return NotCombinable(
            source.name,
            absl::StrCat("module ", Quoted(site.name),
                         " is a convolution with groups, which can be combined "
                         "on its factors only, as by \"linear\""));
      }
    }
    return absl::OkStatus();
  }

  std::set<int> ChangedSites() const {
    std::set<int> changed;
    for (const CombineSource& source : sources_) {
      for (const auto& entry : source.adapter->entries()) {
        changed.insert(entry.site);
      }
    }
    return changed;
  }

  absl::StatusOr<Json> UnitedTargets() const {
    std::vector<SourceSelector> selectors;
    for (const CombineSource& source : sources_) {
      selectors.push_back(
          {source.name, source.adapter->config().targets.target_modules, {}});
      for (const auto& entry : source.adapter->entries()) {
        selectors.back().modules.push_back(sites_.sites()[entry.site].name);
      }
    }
    return UniteSelectors("target_modules", selectors);
  }

  // rsLoRA's sqrt(r) would be a defect here: the factors hold all scales. An
  // init that computes something from the base would do so again in PEFT.
  absl::StatusOr<Json> ConfigJson() const {
    Json config = sources_[0].adapter->config().json;
    config["r"] = layer_options_.combination.rank;
    config["lora_alpha"] = layer_options_.combination.rank;
    config["rank_pattern"] = Json::object();
    config["alpha_pattern"] = Json::object();
    config["use_rslora"] = false;
    config["use_dora"] = false;
    const auto init = config.find("init_lora_weights");
    if (init != config.end() && init->is_string()) *init = true;
    config["inference_mode"] = true;
    PEFT_ASSIGN_OR_RETURN(config["target_modules"], UnitedTargets());
    return config;
  }

  const SiteTable& sites_;
  const absl::Span<const CombineSource> sources_;
  const std::optional<int64_t> svd_rank_;
  kernels::ThreadPool& pool_;
  LayerCombineOptions layer_options_;
};

absl::Status CheckDriver(const std::string& driver) {
  constexpr absl::string_view kDrivers[] = {"", "gesvd", "gesvdj", "gesvda"};
  if (std::find(std::begin(kDrivers), std::end(kDrivers), driver) !=
      std::end(kDrivers)) {
    return absl::OkStatus();
  }
  return ArgumentError(
      absl::StrCat("svd_driver is ", Quoted(driver),
                   "; torch knows \"gesvd\", \"gesvdj\" and \"gesvda\", "
                   "which all give the same here"));
}

bool IsIa3(const CombineSource& source) {
  return source.adapter->config().base.peft_type == "IA3";
}

}  // namespace

absl::StatusOr<LoadedAdapter> CombineAdapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources, const CombineOptions& options,
    kernels::ThreadPool& pool) {
  if (sources.empty()) {
    return ArgumentError("no adapters to combine; name at least one");
  }
  PEFT_RETURN_IF_ERROR(CheckDriver(options.svd_driver));
  if (std::all_of(sources.begin(), sources.end(), IsIa3)) {
    if (options.type == CombinationType::kLinear || sources.size() == 1) {
      return CombineIa3Adapters(sites, name, sources);
    }
    return NotCombinable(sources[0].name,
                         "vectors of IA3 have sums only; use \"linear\"");
  }
  const auto& lora = sources[0].adapter->config().lora;
  const Tokens tokens =
      lora.has_value() ? lora->alora_invocation_tokens : Tokens();
  for (const CombineSource& source : sources) {
    PEFT_RETURN_IF_ERROR(CheckSource(sites, source, tokens));
  }
  return Combiner(sites, sources, options, pool).Combine(name);
}

}  // namespace peft
