#include "peft_cc/methods/lora.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr char kA[] = "lora_A.weight";
constexpr char kB[] = "lora_B.weight";
constexpr char kBBias[] = "lora_B.bias";
// Parameters of their own, not of a Linear: hence no ".weight".
constexpr char kEmbeddingA[] = "lora_embedding_A";
constexpr char kEmbeddingB[] = "lora_embedding_B";

const Tensor* FindPart(const LayerTensors& tensors, absl::string_view part) {
  const auto it = tensors.find(part);
  return it == tensors.end() ? nullptr : &it->second;
}

Bias ScaledBias(const Tensor& tensor, float scale) {
  Bias bias{tensor.ToF32()};
  for (float& value : bias.delta) value *= scale;
  return bias;
}

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
    const LoraConfig& config, const LoraRank& rank, const LayerShape& layer) {
  const bool embedding = layer.is_embedding;
  if (embedding && config.lora_bias) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     error_id::kAdapterConfig,
                     "lora_bias is true, but an embedding is targeted, which "
                     "has no such bias; PEFT cannot have made this adapter",
                     {"lora_bias", "false", "true"});
  }
  std::vector<TensorSpec> specs = {
      {embedding ? kEmbeddingA : kA, {rank.r, layer.in_features}},
      {embedding ? kEmbeddingB : kB, {layer.out_features, rank.r}}};
  if (config.lora_bias) specs.push_back({kBBias, {layer.out_features}});
  return specs;
}

absl::StatusOr<SiteProgram> LowerLora(const LoraConfig& config,
                                      const LoraRank& rank,
                                      const LayerShape& layer,
                                      const LayerTensors& tensors) {
  PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config, rank));
  const Tensor* a = FindPart(tensors, layer.is_embedding ? kEmbeddingA : kA);
  const Tensor* b = FindPart(tensors, layer.is_embedding ? kEmbeddingB : kB);
  const Tensor* bias = FindPart(tensors, kBBias);
  SiteProgram program;
  if (a != nullptr && b != nullptr) program.push_back(LowRank{*a, *b, scale});
  // The bias belongs to B, so the scale covers it: s (B(Ax) + bias).
  if (bias != nullptr) program.push_back(ScaledBias(*bias, scale));
  return program;
}

}  // namespace peft
