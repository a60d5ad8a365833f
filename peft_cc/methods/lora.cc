#include "peft_cc/methods/lora.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/weight_norms.h"

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

absl::Status NotOnEmbedding(const char* key) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat(key,
                                " is set, but an embedding is targeted, which "
                                "has no such thing; PEFT cannot have made this "
                                "adapter"),
                   {key, "", ""});
}

absl::Status CannotLower(const Layer& layer, absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kAdapterFeatureUnsupported,
                   absl::StrCat("module ", Quoted(layer.name), ": ", what),
                   {layer.name, "", ""});
}

// PEFT's magnitude before training is the norm of the weight.
absl::StatusOr<MagnitudeScale> LowerMagnitude(const Layer& layer,
                                              const Tensor* a, const Tensor* b,
                                              const Tensor* magnitude,
                                              float scale,
                                              kernels::ThreadPool& pool) {
  if (layer.weight.dtype() == DType::kUnspecified) {
    return CannotLower(layer,
                       "DoRA needs the base's weight, which the program "
                       "did not register");
  }
  WeightNorms norms;
  if (a != nullptr && b != nullptr) {
    norms = ComputeWeightNorms(layer, *a, *b, pool);
  } else {
    norms.weight = SquaredWeightNorms(layer, pool);
    norms.cross.resize(norms.weight.size());
    norms.delta.resize(norms.weight.size());
  }
  MagnitudeScale form;
  if (magnitude != nullptr) {
    form.magnitude = magnitude->ToF32();
  } else {
    for (const double square : norms.weight) {
      form.magnitude.push_back(static_cast<float>(std::sqrt(square)));
    }
  }
  form.norm0 = std::move(norms.weight);
  form.norm1 = std::move(norms.cross);
  form.norm2 = std::move(norms.delta);
  form.scale = scale;
  return form;
}

InvocationTokens GateOf(const LoraConfig& config) {
  if (config.alora_invocation_tokens.empty()) return nullptr;
  return std::make_shared<const std::vector<int64_t>>(
      config.alora_invocation_tokens);
}

// PEFT only knows these inits on linear layers, and its OLoRA gets the shapes
// of a Conv1D wrong.
absl::Status CheckInit(const LoraConfig& config, const Layer& layer) {
  if (config.init == BaseChangingInit::kNone || IsEmbedding(layer)) {
    return absl::OkStatus();
  }
  return CannotLower(
      layer,
      "init_lora_weights changed the base model's weights; this cannot run "
      "yet: save the adapter with PEFT's "
      "path_initial_model_for_weight_conversion to make it a plain LoRA");
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
    return absl::StrCat("rank ", ranks_[i].r, " by the config");
  }

  absl::StatusOr<SiteProgram> Lower(
      size_t i, const LayerTensors& tensors,
      const LowerServices& services) const override {
    return LowerLora(config_, ranks_[i], layers_[i], tensors, services);
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
  const bool embedding = IsEmbedding(layer);
  if (embedding && config.lora_bias) return NotOnEmbedding("lora_bias");
  if (embedding && !config.alora_invocation_tokens.empty()) {
    return NotOnEmbedding("alora_invocation_tokens");
  }
  std::vector<TensorSpec> specs = {
      {embedding ? kEmbeddingA : kA, {rank.r, layer.in_features}},
      {embedding ? kEmbeddingB : kB, {layer.out_features, rank.r}}};
  if (config.lora_bias) specs.push_back({kBBias, {layer.out_features}});
  if (config.use_dora) specs.push_back({kMagnitude, {layer.out_features}});
  return specs;
}

absl::StatusOr<SiteProgram> LowerLora(const LoraConfig& config,
                                      const LoraRank& rank, const Layer& layer,
                                      const LayerTensors& tensors,
                                      const LowerServices& services) {
  PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config, rank));
  PEFT_RETURN_IF_ERROR(CheckInit(config, layer));
  const Tensor* a = FindPart(tensors, IsEmbedding(layer) ? kEmbeddingA : kA);
  const Tensor* b = FindPart(tensors, IsEmbedding(layer) ? kEmbeddingB : kB);
  const Tensor* bias = FindPart(tensors, kBBias);
  SiteProgram program;
  if (a != nullptr && b != nullptr) {
    program.push_back(LowRank{*a, *b, scale, GateOf(config)});
  }
  // The bias belongs to B, so the scale covers it: s (B(Ax) + bias).
  if (bias != nullptr) program.push_back(ScaledBias(*bias, scale));
  if (config.use_dora) {
    PEFT_ASSIGN_OR_RETURN(
        MagnitudeScale magnitude,
        LowerMagnitude(layer, a, b, FindPart(tensors, kMagnitude), scale,
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
