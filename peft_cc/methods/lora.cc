#include "peft_cc/methods/lora.h"

#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/lora_factors.h"
#include "peft_cc/methods/lora_variants.h"

namespace peft {
namespace {

constexpr char kA[] = "lora_A.weight";
constexpr char kB[] = "lora_B.weight";
constexpr char kBBias[] = "lora_B.bias";
// Parameters of their own, not of a Linear: hence no ".weight".
constexpr char kEmbeddingA[] = "lora_embedding_A";
constexpr char kEmbeddingB[] = "lora_embedding_B";
constexpr char kMagnitude[] = "lora_magnitude_vector";

bool IsEmbedding(const Layer& layer) {
  return layer.kind == SiteKind::kEmbedding;
}

Bias ScaledBias(const Tensor& tensor, float scale) {
  Bias bias{tensor.ToF32()};
  for (float& value : bias.delta) value *= scale;
  return bias;
}

class Lora : public Method {
 public:
  Lora(const LoraConfig& config, std::vector<Layer> layers,
       std::vector<LoraRank> ranks)
      : config_(config), layers_(std::move(layers)), ranks_(std::move(ranks)) {}

  absl::StatusOr<std::vector<TensorSpec>> Tensors(size_t i) const override {
    return LoraTensorSpecs(config_, ranks_[i], layers_[i]);
  }

  std::string ShapeReason(size_t i) const override {
    const int64_t rank = RankOfInit(config_.init, layers_[i], ranks_[i].r);
    return absl::StrCat("rank ", rank, " by the config",
                        rank == ranks_[i].r ? "" : " and the layer's size");
  }

  absl::StatusOr<SiteProgram> Lower(
      size_t i, const LayerTensors& tensors,
      const LowerServices& services) const override {
    return LowerLora(config_, ranks_[i], layers_[i], tensors, services);
  }

  absl::StatusOr<SiteProgram> LowerExpert(
      size_t i, int64_t expert, const LayerTensors& tensors,
      const LowerServices& services) const override {
    return LowerLora(config_, ranks_[i], layers_[i], tensors, services, expert);
  }

 private:
  const LoraConfig config_;
  const std::vector<Layer> layers_;
  const std::vector<LoraRank> ranks_;
};

}  // namespace

absl::StatusOr<float> LoraScale(const LoraConfig& config,
                                const LoraRank& rank) {
  const double r = static_cast<double>(rank.r);
  const double divisor = config.use_rslora ? std::sqrt(r) : r;
  const float scale = static_cast<float>(rank.alpha / divisor);
  if (std::isfinite(scale)) return scale;
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("lora_alpha ", rank.alpha, " with rank ",
                                rank.r, " gives a scale that is not finite"),
                   {"lora_alpha", "a finite scale", absl::StrCat(scale)});
}

absl::StatusOr<std::vector<TensorSpec>> LoraTensorSpecs(
    const LoraConfig& config, const LoraRank& rank, const Layer& layer) {
  PEFT_RETURN_IF_ERROR(CheckLoraLayer(layer, rank.r, config.lora_bias));
  PEFT_RETURN_IF_ERROR(CheckLoraVariants(config, layer));
  const bool embedding = IsEmbedding(layer);
  const int64_t r = RankOfInit(config.init, layer, rank.r);
  std::vector<TensorSpec> specs = {
      {embedding ? kEmbeddingA : kA, LoraShapeOfA(layer, r)},
      {embedding ? kEmbeddingB : kB, LoraShapeOfB(layer, r)}};
  if (config.lora_bias) specs.push_back({kBBias, {layer.out_features}});
  if (config.use_dora) specs.push_back({kMagnitude, ShapeOfMagnitude(layer)});
  return specs;
}

absl::StatusOr<SiteProgram> LowerLora(const LoraConfig& config,
                                      const LoraRank& rank, const Layer& layer,
                                      const LayerTensors& tensors,
                                      const LowerServices& services,
                                      int64_t expert) {
  PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config, rank));
  const Tensor* a = FindPart(tensors, IsEmbedding(layer) ? kEmbeddingA : kA);
  const Tensor* b = FindPart(tensors, IsEmbedding(layer) ? kEmbeddingB : kB);
  const Tensor* bias = FindPart(tensors, kBBias);
  std::optional<LowRank> factors;
  if (a != nullptr && b != nullptr) {
    PEFT_ASSIGN_OR_RETURN(Tensor b_matrix, LoraMatrixB(layer, *b, expert));
    factors = LowRank{LoraMatrixA(layer, *a, expert), std::move(b_matrix),
                      scale, GateOf(config)};
  }
  const LowRank* const own = factors.has_value() ? &*factors : nullptr;
  PEFT_ASSIGN_OR_RETURN(const SiteProgram init,
                        LowerInit(config.init, layer, rank.r, scale, own));
  SiteProgram program = init;
  if (own != nullptr) program.push_back(*own);
  // The bias belongs to B, so the scale covers it: s (B(Ax) + bias).
  if (bias != nullptr) program.push_back(ScaledBias(*bias, scale));
  if (config.use_dora) {
    PEFT_ASSIGN_OR_RETURN(
        MagnitudeScale magnitude,
        LowerMagnitude(layer, init, own, FindPart(tensors, kMagnitude),
                       *services.pool));
    program.push_back(std::move(magnitude));
  }
  return program;
}

absl::StatusOr<std::unique_ptr<Method>> MakeLora(
    const AdapterConfig& config, const std::string&, std::vector<Layer> layers,
    std::vector<std::string>* out_notes) {
  PEFT_ASSIGN_OR_RETURN(
      std::vector<LoraRank> ranks,
      FindLoraRanks(*config.lora, NamesOf(layers), out_notes));
  return std::unique_ptr<Method>(std::make_unique<Lora>(
      *config.lora, std::move(layers), std::move(ranks)));
}

}  // namespace peft
