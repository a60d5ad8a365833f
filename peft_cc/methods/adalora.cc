#include "peft_cc/methods/adalora.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Parameters of their own, not of a Linear: hence no ".weight".
constexpr char kA[] = "lora_A";
constexpr char kB[] = "lora_B";
constexpr char kE[] = "lora_E";

// PEFT makes a delta with the shape of an ungrouped Conv2d's weight.
absl::Status CheckLayer(const Layer& layer) {
  if (layer.kind != SiteKind::kConvolution) return absl::OkStatus();
  if (layer.conv.num_axes == 2 && layer.conv.groups == 1) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("target module ", Quoted(layer.name), " is a Conv",
                   layer.conv.num_axes, "d with ", layer.conv.groups,
                   " groups; of convolutions AdaLoRA can only adapt Conv2d "
                   "without groups: correct target_modules"),
      {"target_modules", "a Conv2d without groups", layer.name});
}

class AdaLora : public Method {
 public:
  AdaLora(std::vector<Layer> layers, std::vector<int64_t> ranks, float scale)
      : layers_(std::move(layers)), ranks_(std::move(ranks)), scale_(scale) {}

  absl::StatusOr<std::vector<TensorSpec>> Tensors(size_t i) const override {
    const Layer& layer = layers_[i];
    PEFT_RETURN_IF_ERROR(CheckLayer(layer));
    const int64_t rank = ranks_[i];
    return std::vector<TensorSpec>{{kA, {rank, layer.in_features}},
                                   {kB, {layer.out_features, rank}},
                                   {kE, {rank, 1}}};
  }

  std::string ShapeReason(size_t i) const override {
    return absl::StrCat("rank ", ranks_[i], " by init_r and rank_pattern");
  }

  absl::StatusOr<SiteProgram> Lower(size_t, const LayerTensors& tensors,
                                    const LowerServices&) const override {
    const Tensor* a = FindPart(tensors, kA);
    const Tensor* b = FindPart(tensors, kB);
    const Tensor* e = FindPart(tensors, kE);
    SiteProgram program;
    if (a == nullptr || b == nullptr || e == nullptr) return program;
    program.push_back(LowRank{*a, *b, scale_, nullptr, e->ToF32()});
    return program;
  }

 private:
  const std::vector<Layer> layers_;
  const std::vector<int64_t> ranks_;
  const float scale_;
};

absl::StatusOr<float> ScaleOf(const AdaLoraConfig& config) {
  const auto init_r = static_cast<double>(config.init_r);
  const double alpha = config.lora_alpha > 0 ? config.lora_alpha : init_r;
  const auto scale = static_cast<float>(alpha / (init_r + 1e-5));
  if (std::isfinite(scale)) return scale;
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat("lora_alpha ", config.lora_alpha,
                                " gives a scale that is not finite"),
                   {"lora_alpha", "a finite scale", absl::StrCat(scale)});
}

// PEFT fails on keys that name no target.
absl::Status CheckPattern(const AdaLoraConfig& config,
                          const std::vector<Layer>& layers) {
  std::set<std::string> names;
  for (const Layer& layer : layers) names.insert(layer.name);
  for (const auto& [module, rank] : config.ranks) {
    if (names.count(module) != 0) continue;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
        absl::StrCat("rank_pattern has ", Quoted(module),
                     ", which is no target; does adapter_config.json belong "
                     "to this base model?"),
        {"rank_pattern", "names of targeted modules", module});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Method>> MakeAdaLora(const AdapterConfig& config,
                                                    const std::string&,
                                                    std::vector<Layer> layers,
                                                    std::vector<std::string>*) {
  const AdaLoraConfig& adalora = *config.adalora;
  PEFT_ASSIGN_OR_RETURN(const float scale, ScaleOf(adalora));
  PEFT_RETURN_IF_ERROR(CheckPattern(adalora, layers));
  std::vector<int64_t> ranks;
  for (const Layer& layer : layers) {
    const auto rank = adalora.ranks.find(layer.name);
    ranks.push_back(rank == adalora.ranks.end() ? adalora.init_r
                                                : rank->second);
  }
  return std::unique_ptr<Method>(
      std::make_unique<AdaLora>(std::move(layers), std::move(ranks), scale));
}

}  // namespace peft
