#include "peft_cc/adapters/combine.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/algebra/weighted_lora.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status NotCombinable(const std::string& name, absl::string_view why) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterNotCombinable,
      absl::StrCat("adapter ", Quoted(name), " cannot be combined: ", why),
      {name, "", ""});
}

template <typename F>
const F* FindForm(const SiteProgram& program) {
  for (const Form& form : program) {
    if (const F* found = std::get_if<F>(&form)) return found;
  }
  return nullptr;
}

bool IsDora(const CombineSource& source) {
  for (const Adapter::SiteEntry& entry : source.adapter->entries()) {
    if (FindForm<MagnitudeScale>(entry.program) != nullptr) return true;
  }
  return false;
}

// A program that is one LowRank, perhaps with a magnitude.
absl::Status CheckProgram(const CombineSource& source,
                          const SiteProgram& program) {
  size_t known = 0;
  for (const Form& form : program) {
    const auto* const low_rank = std::get_if<LowRank>(&form);
    if (low_rank != nullptr && low_rank->gate != nullptr) {
      return NotCombinable(source.name, "it has invocation tokens");
    }
    known += low_rank != nullptr || std::holds_alternative<MagnitudeScale>(form)
                 ? 1
                 : 0;
  }
  if (known == program.size() && FindForm<LowRank>(program) != nullptr) {
    return absl::OkStatus();
  }
  return NotCombinable(source.name,
                       "it changes biases, or replaces modules or rows, which "
                       "the factors of a LoRA cannot hold");
}

absl::Status CheckSource(const CombineSource& source, CombinationType type) {
  if (!source.adapter->config().lora.has_value() ||
      source.adapter->config().base.peft_type != "LORA") {
    return NotCombinable(
        source.name,
        absl::StrCat("it is of type ", source.adapter->config().base.peft_type,
                     ", expected LORA, or all IA3 with "
                     "combination type linear"));
  }
  for (const Adapter::SiteEntry& entry : source.adapter->entries()) {
    PEFT_RETURN_IF_ERROR(CheckProgram(source, entry.program));
  }
  if (IsDora(source) &&
      GetCombinationTarget(type) != CombinationTarget::kDelta) {
    return NotCombinable(source.name,
                         "it is DoRA, whose change of the weight has no "
                         "factors; use a type that ends in svd");
  }
  return absl::OkStatus();
}

// PEFT's rank of a source.
int64_t RankOf(const LoraConfig& config) {
  if (config.rank_pattern.empty()) return config.r;
  int64_t rank = 0;
  for (const auto& item : config.rank_pattern) {
    rank = std::max(rank, item.second);
  }
  return rank;
}

class Combiner {
 public:
  Combiner(const SiteTable& sites, absl::Span<const CombineSource> sources,
           const CombineOptions& options, kernels::ThreadPool& pool)
      : sites_(sites),
        sources_(sources),
        options_(options),
        pool_(pool),
        generator_(options.seed) {}

  absl::StatusOr<LoadedAdapter> Combine(const std::string& name) {
    std::vector<int64_t> ranks;
    type_ = options_.type;
    // One source has nothing to be combined with: PEFT takes its factors.
    if (sources_.size() == 1 && !IsDora(sources_[0])) {
      type_ = CombinationType::kLinear;
    }
    for (const CombineSource& source : sources_) {
      PEFT_RETURN_IF_ERROR(CheckSource(source, type_));
      ranks.push_back(RankOf(*source.adapter->config().lora));
    }
    PEFT_ASSIGN_OR_RETURN(rank_, CombinedRank(type_, ranks, options_.svd_rank));
    Activation all;
    for (const CombineSource& source : sources_) {
      all.entries.push_back({source.adapter, 1.0f, source.name});
    }
    TensorMap tensors;
    std::vector<std::string> modules;
    for (const int site : ChangedSites(all)) {
      PEFT_ASSIGN_OR_RETURN(LoraFactors factors, CombineSite(site));
      const Site& found = sites_.sites()[site];
      const bool is_table = found.kind == SiteKind::kEmbedding;
      modules.push_back(found.name);
      tensors[absl::StrCat(found.name,
                           is_table ? ".lora_embedding_A" : ".lora_A.weight")] =
          std::move(factors.a);
      tensors[absl::StrCat(found.name,
                           is_table ? ".lora_embedding_B" : ".lora_B.weight")] =
          std::move(factors.b);
    }
    PEFT_ASSIGN_OR_RETURN(AdapterConfig config,
                          ParseAdapterConfig(DumpJson(ConfigOf(modules))));
    return BuildAdapter(sites_, name, std::move(config), std::move(tensors),
                        {});
  }

 private:
  absl::StatusOr<LoraFactors> CombineSite(int site) {
    CombinationOptions options;
    options.type = type_;
    options.density = options_.density;
    options.majority_sign_method = options_.majority_sign_method;
    options.rank = rank_;
    options.svd_clamp = options_.svd_clamp;
    const SiteKind kind = sites_.sites()[site].kind;
    options.is_transposed =
        kind == SiteKind::kConv1D || kind == SiteKind::kEmbedding;
    const bool has_dora = std::any_of(sources_.begin(), sources_.end(),
                                      [](const auto& s) { return IsDora(s); });
    if (has_dora) return CombineDeltasAt(site, options);
    std::vector<CombinationSource> parts;
    for (const CombineSource& source : sources_) {
      const SiteProgram* const program = source.adapter->FindProgram(site);
      if (program == nullptr) continue;
      const LowRank& form = *FindForm<LowRank>(*program);
      parts.push_back(
          {form.a, form.b, source.weight, source.scale * form.scale});
    }
    return CombineLora(options, parts, generator_);
  }

  absl::StatusOr<LoraFactors> CombineDeltasAt(
      int site, const CombinationOptions& options) {
    std::vector<Tensor> deltas;
    std::vector<double> weights;
    for (const CombineSource& source : sources_) {
      if (source.adapter->FindProgram(site) == nullptr) continue;
      PEFT_ASSIGN_OR_RETURN(Tensor delta, DeltaOf(source, site));
      deltas.push_back(std::move(delta));
      weights.push_back(source.weight);
    }
    return CombineDeltas(options, deltas, weights, generator_);
  }

  // What the source alone changes in the weight, f32.
  absl::StatusOr<Tensor> DeltaOf(const CombineSource& source, int site) {
    Activation activation;
    activation.entries.push_back(
        {source.adapter, static_cast<float>(source.scale), source.name});
    PEFT_ASSIGN_OR_RETURN(const auto plan,
                          Plan::Create(sites_, std::move(activation)));
    PEFT_ASSIGN_OR_RETURN(const Tensor merged,
                          MergeWeightF32(sites_, *plan, site, pool_));
    const std::vector<float> base = sites_.sites()[site].weight.ToF32();
    const auto* const values = static_cast<const float*>(merged.data());
    void* data = nullptr;
    PEFT_ASSIGN_OR_RETURN(
        Tensor delta,
        Tensor::Allocate(
            DType::kF32,
            std::vector<int64_t>(merged.shape().begin(), merged.shape().end()),
            &data));
    for (size_t i = 0; i < base.size(); ++i) {
      static_cast<float*>(data)[i] = values[i] - base[i];
    }
    return delta;
  }

  // rsLoRA's sqrt(r) would be a defect here: the factors hold all scales.
  Json ConfigOf(const std::vector<std::string>& modules) const {
    Json config = sources_[0].adapter->config().json;
    config["peft_type"] = "LORA";
    config["r"] = rank_;
    config["lora_alpha"] = rank_;
    config["rank_pattern"] = Json::object();
    config["alpha_pattern"] = Json::object();
    config["use_rslora"] = false;
    config["use_dora"] = false;
    config["init_lora_weights"] = true;
    config["target_modules"] = modules;
    for (const char* key :
         {"exclude_modules", "layers_to_transform", "layers_pattern"}) {
      config[key] = nullptr;
    }
    config["inference_mode"] = true;
    return config;
  }

  const SiteTable& sites_;
  const absl::Span<const CombineSource> sources_;
  const CombineOptions& options_;
  kernels::ThreadPool& pool_;
  TorchGenerator generator_;
  CombinationType type_ = CombinationType::kSvd;
  int64_t rank_ = 0;
};

bool AreIa3(absl::Span<const CombineSource> sources) {
  return std::all_of(sources.begin(), sources.end(), [](const auto& source) {
    return source.adapter->config().base.peft_type == "IA3";
  });
}

// Vectors that a source lacks are missing from its sum, as in PEFT.
absl::StatusOr<LoadedAdapter> CombineIa3Adapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources) {
  TensorMap tensors;
  const Json& first = sources[0].adapter->config().json;
  for (const CombineSource& source : sources) {
    const Json& json = source.adapter->config().json;
    for (const char* key : {"feedforward_modules", "target_modules"}) {
      if (json.value(key, Json()) == first.value(key, Json())) continue;
      return NotCombinable(source.name,
                           absl::StrCat("its ", key, " are not those of ",
                                        Quoted(sources[0].name)));
    }
  }
  for (const auto& item : sources[0].adapter->state_dict()) {
    std::vector<Tensor> parts;
    std::vector<double> weights;
    for (const CombineSource& source : sources) {
      const auto found = source.adapter->state_dict().find(item.first);
      if (found == source.adapter->state_dict().end()) continue;
      parts.push_back(found->second);
      weights.push_back(source.weight);
    }
    PEFT_ASSIGN_OR_RETURN(tensors[item.first], CombineIa3(parts, weights));
  }
  PEFT_ASSIGN_OR_RETURN(AdapterConfig config,
                        ParseAdapterConfig(DumpJson(first)));
  return BuildAdapter(sites, name, std::move(config), std::move(tensors), {});
}

}  // namespace

absl::StatusOr<LoadedAdapter> CombineAdapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources, const CombineOptions& options,
    kernels::ThreadPool& pool) {
  if (sources.empty()) {
    return ArgumentError("no adapters to combine; name at least one");
  }
  if (AreIa3(sources) &&
      (options.type == CombinationType::kLinear || sources.size() == 1)) {
    return CombineIa3Adapters(sites, name, sources);
  }
  return Combiner(sites, sources, options, pool).Combine(name);
}

}  // namespace peft
