#include "peft_cc/adapters/fresh.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/fresh_config.h"
#include "peft_cc/adapters/fresh_layers.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/saved_modules.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/adapters/trained_tokens.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

// As PeftModel has it: rounded to the dtype of the base, then f32 again.
absl::StatusOr<Tensor> Rounded(const Tensor& tensor, DType dtype) {
  if (dtype == DType::kUnspecified) return tensor;
  PEFT_ASSIGN_OR_RETURN(const Tensor narrow, tensor.Cast(dtype));
  return narrow.Cast(DType::kF32);
}

// An embedding that comes along with its head, where the method has none.
absl::Status CheckKind(const MethodInfo& info, const Layer& layer) {
  if (std::find(info.kinds.begin(), info.kinds.end(), layer.kind) !=
      info.kinds.end()) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("ensure_weight_tying brings ", Quoted(layer.name),
                   " along, but ", info.title, " can only adapt ", info.adapts,
                   "; do not target what is tied to it"),
      {"ensure_weight_tying", std::string(info.adapts), layer.name});
}

// The tensors of one adapter's layers, made in PEFT's order.
class LayerTensorsMaker {
 public:
  LayerTensorsMaker(const SiteTable& sites, const TargetConfig& config,
                    const std::vector<TargetSite>& targets,
                    const FreshLayers& fresh, uint64_t seed)
      : sites_(sites),
        config_(config),
        targets_(targets),
        fresh_(fresh),
        generator_(seed) {}

  // By target.
  absl::StatusOr<std::vector<LayerTensors>> MakeAll() {
    std::vector<LayerTensors> made(targets_.size());
    for (const bool is_late : {false, true}) {
      for (size_t i = 0; i < targets_.size(); ++i) {
        const int embedding = EmbeddingOf(i);
        if ((embedding >= 0) != is_late) continue;
        PEFT_ASSIGN_OR_RETURN(
            made[i], is_late ? fresh_.MakeTied(i, made[embedding], generator_)
                             : fresh_.Make(i, generator_));
      }
    }
    return made;
  }

 private:
  // The target that target `i` shares its factors with, or -1. PEFT makes such
  // heads last, and compares the last part of the head's name with the whole
  // one, so that only a head of the model itself shares them.
  int EmbeddingOf(size_t i) const {
    if (!config_.ensure_weight_tying || targets_[i].is_parameter) return -1;
    const int embedding = FindInputEmbedding(sites_);
    const std::vector<int> heads = FindTiedHeads(sites_, embedding);
    const std::string& name = sites_.sites()[targets_[i].site].name;
    if (std::find(heads.begin(), heads.end(), targets_[i].site) ==
            heads.end() ||
        name.find('.') != std::string::npos) {
      return -1;
    }
    for (size_t j = 0; j < targets_.size(); ++j) {
      if (targets_[j].site == embedding) return static_cast<int>(j);
    }
    return -1;
  }

  const SiteTable& sites_;
  const TargetConfig& config_;
  const std::vector<TargetSite>& targets_;
  const FreshLayers& fresh_;
  TorchGenerator generator_;
};

absl::Status AddLayers(const std::vector<TargetSite>& targets,
                       const std::vector<Layer>& layers,
                       const std::vector<LayerTensors>& made,
                       TensorMap& out_tensors) {
  for (size_t i = 0; i < targets.size(); ++i) {
    for (const auto& [part, tensor] : made[i]) {
      PEFT_ASSIGN_OR_RETURN(
          out_tensors[absl::StrCat(targets[i].file_module, ".", part)],
          Rounded(tensor, layers[i].weight.dtype()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Layer>> LayersOf(
    const SiteTable& sites, const std::vector<TargetSite>& targets,
    const MethodInfo& info) {
  std::vector<Layer> layers;
  for (const TargetSite& target : targets) {
    layers.push_back(LayerOf(sites, target, sites.sites()[target.site].weight));
    PEFT_RETURN_IF_ERROR(CheckKind(info, layers.back()));
  }
  return layers;
}

absl::Status CannotMake(const AdapterConfig& config) {
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kAdapterMethodUnsupported,
      absl::StrCat("new adapters of type ", Quoted(config.base.peft_type),
                   " cannot be made yet, only ", MethodNames(", ")),
      {"peft_type", MethodNames(", "), config.base.peft_type});
}

}  // namespace

absl::StatusOr<FreshAdapter> MakeFreshAdapter(const SiteTable& sites,
                                              const AdapterConfig& config,
                                              const FreshOptions& options) {
  const MethodInfo* const info = FindMethod(config.base.peft_type);
  if (info == nullptr) return CannotMake(config);
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(const std::vector<TargetSite> targets,
                        FindTargetSites(config.targets, config.base.task_type,
                                        *info, sites, KeyMap(), &notes));
  PEFT_ASSIGN_OR_RETURN(const std::vector<Layer> layers,
                        LayersOf(sites, targets, *info));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<Method> method,
      info->create(config, sites.model_type(), layers, &notes));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<FreshLayers> fresh,
      MakeFreshLayers(config, *method, layers, options.services));
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<LayerTensors> made,
      LayerTensorsMaker(sites, config.targets, targets, *fresh, options.seed)
          .MakeAll());
  FreshAdapter adapter;
  PEFT_RETURN_IF_ERROR(AddLayers(targets, layers, made, adapter.tensors));
  PEFT_RETURN_IF_ERROR(AddBaseModules(config.targets, sites, adapter.tensors));
  PEFT_RETURN_IF_ERROR(AddBaseRows(config.targets, sites, adapter.tensors));
  AddBaseBiases(config.targets.bias, sites, targets, adapter.tensors);
  PEFT_ASSIGN_OR_RETURN(adapter.config,
                        FreshConfig(config, sites, targets, options.base_name));
  return adapter;
}

}  // namespace peft
