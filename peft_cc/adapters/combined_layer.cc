#include "peft_cc/adapters/combined_layer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/combined_config.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_ranks.h"
#include "peft_cc/methods/lora.h"

namespace peft {
namespace {

// PEFT wraps the out_proj of a MultiheadAttention inside of the wrapped one.
int SiteOfModule(const SiteTable& sites, absl::string_view module) {
  constexpr absl::string_view kBaseLayer = ".base_layer.";
  const size_t inner = module.find(kBaseLayer);
  if (inner == absl::string_view::npos) return sites.Find(module);
  return sites.Find(absl::StrCat(module.substr(0, inner), ".",
                                 module.substr(inner + kBaseLayer.size())));
}

bool IsTransposed(const Site& site) {
  return site.kind == SiteKind::kConv1D || site.kind == SiteKind::kEmbedding;
}

// A tensor with the same elements, row-major, in another shape.
absl::StatusOr<Tensor> Reshaped(const Tensor& tensor,
                                std::vector<int64_t> shape) {
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor result,
                        Tensor::Allocate(DType::kF32, std::move(shape), &data));
  const std::vector<float> values = tensor.ToF32();
  if (static_cast<int64_t>(values.size()) != result.num_elements()) {
    return ArgumentError(absl::StrCat("a tensor of ", values.size(),
                                      " elements cannot have the shape ",
                                      ShapeToString(result.shape())));
  }
  std::copy(values.begin(), values.end(), static_cast<float*>(data));
  return result;
}

const LowRank& LastLowRank(const SiteProgram& program) {
  const LowRank* found = nullptr;
  for (const Form& form : program) {
    if (const auto* low_rank = std::get_if<LowRank>(&form)) found = low_rank;
  }
  return *found;
}

}  // namespace

bool IsFolded(const CombineSource& source) {
  const auto& entries = source.adapter->entries();
  return std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
    return entry.program.size() > 1;
  });
}

LayerCombiner::LayerCombiner(const SiteTable& sites,
                             absl::Span<const CombineSource> sources,
                             const LayerCombineOptions& options,
                             kernels::ThreadPool& pool)
    : sites_(sites),
      sources_(sources),
      options_(options),
      pool_(pool),
      generator_(options.seed),
      factors_(sources.size()) {
  for (size_t i = 0; i < sources.size(); ++i) {
    for (const auto& [name, tensor] : sources[i].adapter->state_dict()) {
      const TensorKey key = ParseTensorKey(name);
      Factors& factors = factors_[i][SiteOfModule(sites, key.module)];
      if (absl::StartsWith(key.part, "lora_A") ||
          absl::StartsWith(key.part, "lora_embedding_A")) {
        factors.a = tensor;
      } else if (absl::StartsWith(key.part, "lora_B") ||
                 absl::StartsWith(key.part, "lora_embedding_B")) {
        factors.b = tensor;
      }
    }
  }
}

absl::Status LayerCombiner::Combine(const TargetSite& target,
                                    TensorMap& out_tensors) {
  PEFT_ASSIGN_OR_RETURN(LoraFactors factors, options_.is_folding
                                                 ? CombineFolded(target)
                                                 : CombineFactors(target));
  const bool is_table =
      sites_.sites()[target.site].kind == SiteKind::kEmbedding;
  const std::string prefix = absl::StrCat(target.file_module, ".lora_");
  out_tensors[absl::StrCat(prefix, is_table ? "embedding_A" : "A.weight")] =
      std::move(factors.a);
  out_tensors[absl::StrCat(prefix, is_table ? "embedding_B" : "B.weight")] =
      std::move(factors.b);
  return absl::OkStatus();
}

CombinationOptions LayerCombiner::OptionsAt(const Site& site) const {
  CombinationOptions options = options_.combination;
  options.is_transposed = IsTransposed(site);
  return options;
}

// Of each source as its file has them: those of a convolution keep its axes.
absl::StatusOr<LoraFactors> LayerCombiner::CombineFactors(
    const TargetSite& target) {
  const Site& site = sites_.sites()[target.site];
  std::vector<CombinationSource> parts;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const SiteProgram* const program =
        sources_[i].adapter->FindProgram(target.site);
    if (program == nullptr) continue;
    const Factors& factors = factors_[i][target.site];
    // The result's own factor is put on when it is lowered.
    const double scale = LastLowRank(*program).scale / target.factor;
    parts.push_back(
        {factors.a, factors.b, sources_[i].weight, sources_[i].scale * scale});
    PEFT_RETURN_IF_ERROR(
        CheckFactors(sources_[i], site, parts.front(), parts.back()));
  }
  absl::StatusOr<LoraFactors> factors =
      CombineLora(OptionsAt(site), parts, generator_);
  if (factors.ok()) return factors;
  return WithContext(factors.status(),
                     absl::StrCat("module ", Quoted(site.name)));
}

absl::Status LayerCombiner::CheckFactors(const CombineSource& source,
                                         const Site& site,
                                         const CombinationSource& first,
                                         const CombinationSource& part) const {
  const int64_t rank = options_.combination.rank;
  if (rank % site.conv.groups != 0) {
    return NotCombinable(
        source.name, absl::StrCat("module ", Quoted(site.name),
                                  " is a convolution with ", site.conv.groups,
                                  " groups, which takes a multiple of "
                                  "them as its rank, but the new adapter has ",
                                  rank));
  }
  const bool takes_all = GetCombinationTarget(options_.combination.type) !=
                         CombinationTarget::kFactors;
  if (takes_all || part.a.dim(0) == first.a.dim(0)) return absl::OkStatus();
  return NotCombinable(
      source.name,
      absl::StrCat("its rank at ", Quoted(site.name), " is ", part.a.dim(0),
                   ", that of another source ", first.a.dim(0),
                   ", but this type takes equal ranks at each layer; \"cat\" "
                   "and the types with \"svd\" do not"));
}

absl::StatusOr<LoraFactors> LayerCombiner::CombineFolded(
    const TargetSite& target) {
  const Site& site = sites_.sites()[target.site];
  std::vector<Tensor> deltas;
  std::vector<double> weights;
  for (const CombineSource& source : sources_) {
    if (source.adapter->FindProgram(target.site) == nullptr) continue;
    PEFT_ASSIGN_OR_RETURN(Tensor delta, DeltaOf(source, target.site));
    const int64_t rows = delta.dim(0);
    PEFT_ASSIGN_OR_RETURN(deltas.emplace_back(),
                          Reshaped(delta, {rows, delta.num_elements() / rows}));
    // The result's own factor is put on when it is lowered.
    weights.push_back(source.weight / target.factor);
  }
  PEFT_ASSIGN_OR_RETURN(
      LoraFactors factors,
      CombineDeltas(OptionsAt(site), deltas, weights, generator_));
  const int64_t rank = options_.combination.rank;
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<TensorSpec> specs,
      LoraTensorSpecs({}, LoraRank{rank, static_cast<double>(rank)},
                      LayerOf(sites_, target, site.weight)));
  PEFT_ASSIGN_OR_RETURN(factors.a, Reshaped(factors.a, specs[0].shape));
  PEFT_ASSIGN_OR_RETURN(factors.b, Reshaped(factors.b, specs[1].shape));
  return factors;
}

// What the source alone changes in the weight, f32.
absl::StatusOr<Tensor> LayerCombiner::DeltaOf(const CombineSource& source,
                                              int site) {
  Activation activation;
  activation.entries.push_back(
      {source.adapter, static_cast<float>(source.scale), source.name});
  PEFT_RETURN_IF_ERROR(CheckMergeable(sites_, activation));
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

}  // namespace peft
