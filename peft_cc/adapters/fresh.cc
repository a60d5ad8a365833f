#include "peft_cc/adapters/fresh.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/algebra/lora_init.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_ranks.h"
#include "peft_cc/methods/lora.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

constexpr char kInitKey[] = "init_lora_weights";

// The initialiser of the config; "true" where it has none.
absl::StatusOr<LoraInit> InitOf(const AdapterConfig& config) {
  const auto found = config.json.find(kInitKey);
  if (found == config.json.end()) return ParseLoraInit("true");
  if (found->is_boolean()) {
    return ParseLoraInit(found->get<bool>() ? "true" : "false");
  }
  if (found->is_string()) return ParseLoraInit(found->get<std::string>());
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat(kInitKey, " is ", found->dump(),
                                ", expected true, false or a name"),
                   {kInitKey, "true, false or a name", found->dump()});
}

// Those of HF Conv1D are stored (in, out).
absl::StatusOr<Tensor> OutByIn(const Layer& layer) {
  if (layer.kind != SiteKind::kConv1D) return layer.weight;
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor result,
      Tensor::Allocate(DType::kF32, {layer.out_features, layer.in_features},
                       &data));
  const std::vector<float> from = layer.weight.ToF32();
  auto* to = static_cast<float*>(data);
  for (int64_t i = 0; i < layer.in_features; ++i) {
    for (int64_t o = 0; o < layer.out_features; ++o) {
      to[o * layer.in_features + i] = from[i * layer.out_features + o];
    }
  }
  return result;
}

absl::Status CannotMake(absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kAdapterFeatureUnsupported,
                   absl::StrCat("a fresh adapter needs ", what,
                                ", which this version cannot initialise; load "
                                "one that Python made"),
                   {std::string(what), "", ""});
}

// Draws the layers of one LORA adapter, one after the other.
class LoraMaker {
 public:
  static absl::StatusOr<LoraMaker> Create(const AdapterConfig& config,
                                          const std::vector<Layer>& layers) {
    LoraMaker maker(*config.lora, layers);
    std::vector<std::string> notes;
    PEFT_ASSIGN_OR_RETURN(maker.init_, InitOf(config));
    PEFT_ASSIGN_OR_RETURN(maker.ranks_,
                          FindLoraRanks(*config.lora, NamesOf(layers), &notes));
    return maker;
  }

  // The tensors of layer `i`, by part.
  absl::StatusOr<LayerTensors> Make(size_t i, TorchGenerator& generator) const {
    const SiteKind kind = layers_[i].kind;
    const bool is_embedding = kind == SiteKind::kEmbedding;
    if (!is_embedding && kind != SiteKind::kLinear &&
        kind != SiteKind::kConv1D) {
      return CannotMake(absl::StrCat("layer ", Quoted(layers_[i].name)));
    }
    PEFT_ASSIGN_OR_RETURN(const FreshLora fresh, is_embedding
                                                     ? Embedding(i, generator)
                                                     : Linear(i, generator));
    LayerTensors tensors;
    tensors[is_embedding ? "lora_embedding_A" : "lora_A.weight"] =
        fresh.factors.a;
    tensors[is_embedding ? "lora_embedding_B" : "lora_B.weight"] =
        fresh.factors.b;
    if (fresh.factors.b_bias.has_value()) {
      tensors["lora_B.bias"] = *fresh.factors.b_bias;
    }
    return tensors;
  }

 private:
  LoraMaker(const LoraConfig& config, const std::vector<Layer>& layers)
      : config_(config), layers_(layers) {}

  absl::StatusOr<FreshLora> Linear(size_t i, TorchGenerator& generator) const {
    const Layer& layer = layers_[i];
    PEFT_ASSIGN_OR_RETURN(const float scale, LoraScale(config_, ranks_[i]));
    PEFT_ASSIGN_OR_RETURN(const Tensor weight, OutByIn(layer));
    const LinearLoraShape shape = {layer.in_features, layer.out_features,
                                   ranks_[i].r, config_.lora_bias};
    return InitLinearLora(init_, shape, scale, weight, generator);
  }

  absl::StatusOr<FreshLora> Embedding(size_t i,
                                      TorchGenerator& generator) const {
    return InitEmbeddingLora(init_, ranks_[i].r, layers_[i].weight, generator);
  }

  const LoraConfig& config_;
  const std::vector<Layer>& layers_;
  LoraInit init_;
  std::vector<LoraRank> ranks_;
};

// As PeftModel has it: rounded to the dtype of the base, then f32 again.
absl::StatusOr<Tensor> Rounded(const Tensor& tensor, DType dtype) {
  PEFT_ASSIGN_OR_RETURN(const Tensor narrow, tensor.Cast(dtype));
  return narrow.Cast(DType::kF32);
}

// Adds the tensors that `method` asks for at layer `i` to `out_tensors`.
absl::Status AddLayer(const Method& method, size_t i, const TargetSite& target,
                      DType dtype, const LayerTensors& made,
                      TensorMap& out_tensors) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<TensorSpec> specs, method.Tensors(i));
  for (const TensorSpec& spec : specs) {
    const Tensor* tensor = FindPart(made, spec.part);
    if (tensor == nullptr || tensor->shape() != spec.shape) {
      return CannotMake(absl::StrCat("tensor ", Quoted(spec.part)));
    }
    PEFT_ASSIGN_OR_RETURN(
        out_tensors[absl::StrCat(target.file_module, ".", spec.part)],
        Rounded(*tensor, dtype));
  }
  return absl::OkStatus();
}

// What this version cannot initialise at all.
absl::Status CheckCanMake(const AdapterConfig& config) {
  if (!config.lora.has_value()) {
    return MakeError(
        absl::StatusCode::kUnimplemented, error_id::kAdapterMethodUnsupported,
        absl::StrCat("fresh adapters of type ", Quoted(config.base.peft_type),
                     " cannot be made yet, only LORA"),
        {"peft_type", "LORA", config.base.peft_type});
  }
  const TargetConfig& targets = config.targets;
  if (!targets.modules_to_save.empty()) return CannotMake("modules_to_save");
  if (!targets.trained_tokens.empty()) {
    return CannotMake("trainable_token_indices");
  }
  return absl::OkStatus();
}

// PEFT lets the factors of a tied head share the memory of the embedding's and
// then initialises it once more, through a transposed view.
absl::Status CheckIsNotTied(const TargetConfig& config, const SiteTable& sites,
                            const std::vector<TargetSite>& targets) {
  if (!config.ensure_weight_tying) return absl::OkStatus();
  const std::vector<int> heads =
      FindTiedHeads(sites, FindInputEmbedding(sites));
  for (const TargetSite& target : targets) {
    if (std::find(heads.begin(), heads.end(), target.site) != heads.end()) {
      return CannotMake(absl::StrCat("ensure_weight_tying for ",
                                     Quoted(sites.sites()[target.site].name)));
    }
  }
  return absl::OkStatus();
}

std::vector<Layer> LayersOf(const SiteTable& sites,
                            const std::vector<TargetSite>& targets) {
  std::vector<Layer> layers;
  for (const TargetSite& target : targets) {
    layers.push_back(LayerOf(sites, target, sites.sites()[target.site].weight));
  }
  return layers;
}

}  // namespace

absl::StatusOr<TensorMap> FreshTensors(const SiteTable& sites,
                                       const AdapterConfig& config,
                                       uint64_t seed) {
  PEFT_RETURN_IF_ERROR(CheckCanMake(config));
  const MethodInfo& info = *FindMethod(config.base.peft_type);
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(const std::vector<TargetSite> targets,
                        FindTargetSites(config.targets, config.base.task_type,
                                        info, sites, KeyMap(), &notes));
  PEFT_RETURN_IF_ERROR(CheckIsNotTied(config.targets, sites, targets));
  const std::vector<Layer> layers = LayersOf(sites, targets);
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<Method> method,
      info.create(config, sites.model_type(), layers, &notes));
  PEFT_ASSIGN_OR_RETURN(const LoraMaker maker,
                        LoraMaker::Create(config, layers));
  TorchGenerator generator(seed);
  TensorMap tensors;
  for (size_t i = 0; i < targets.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(const LayerTensors made, maker.Make(i, generator));
    PEFT_RETURN_IF_ERROR(AddLayer(*method, i, targets[i],
                                  layers[i].weight.dtype(), made, tensors));
  }
  AddBaseBiases(config.targets.bias, sites, targets, tensors);
  return tensors;
}

}  // namespace peft
