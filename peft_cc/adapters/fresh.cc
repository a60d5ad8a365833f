#include "peft_cc/adapters/fresh.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/fresh_config.h"
#include "peft_cc/adapters/fresh_layers.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/saved_modules.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/adapters/trained_tokens.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/method_table.h"

namespace peft {
namespace {

// As PeftModel has it: rounded to the dtype of the base, then f32 again. Over
// codes it stays f32.
absl::StatusOr<Tensor> Rounded(const Tensor& tensor, DType dtype) {
  if (dtype == DType::kUnspecified || IsQuantized(dtype)) return tensor;
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
    for (const bool is_tied : {false, true}) {
      for (size_t i = 0; i < targets_.size(); ++i) {
        if (IsTiedHead(targets_[i]) != is_tied) continue;
        const int embedding = is_tied ? EmbeddingOf(targets_[i]) : -1;
        PEFT_ASSIGN_OR_RETURN(
            made[i], embedding >= 0
                         ? fresh_.MakeTied(i, made[embedding], generator_)
                         : fresh_.Make(i, generator_));
      }
    }
    return made;
  }

 private:
  // PEFT makes these last.
  bool IsTiedHead(const TargetSite& target) const {
    if (!config_.ensure_weight_tying || target.is_parameter) return false;
    const std::vector<int> heads =
        FindTiedHeads(sites_, FindInputEmbedding(sites_));
    return std::find(heads.begin(), heads.end(), target.site) != heads.end();
  }

  // The target that a head shares its factors with, or -1. PEFT compares the
  // last part of the head's name with the whole one, so that only a head of the
  // model itself shares them.
  int EmbeddingOf(const TargetSite& head) const {
    if (absl::StrContains(sites_.sites()[head.site].name, '.')) return -1;
    const int embedding = FindInputEmbedding(sites_);
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

// Copies those that nothing keeps alive: they lie in the layers of a host
// model, which may go before an adapter's tensors do, or be written to.
absl::Status OwnAll(TensorMap& tensors) {
  for (auto& [name, tensor] : tensors) {
    if (tensor.owner() != nullptr || tensor.size_bytes() == 0) continue;
    PEFT_ASSIGN_OR_RETURN(tensor, CopyTensor(tensor));
  }
  return absl::OkStatus();
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
  FreshAdapter adapter;
  AdapterConfig& filled = adapter.config;
  PEFT_ASSIGN_OR_RETURN(filled, FreshConfig(config, sites, options.base_name));
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(const std::vector<TargetSite> targets,
                        FindTargetSites(filled.targets, filled.base.task_type,
                                        *info, sites, KeyMap(), &notes));
  CorrectFanInFanOut(sites, targets, filled);
  PEFT_ASSIGN_OR_RETURN(const std::vector<Layer> layers,
                        LayersOf(sites, targets, *info));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<Method> method,
      info->create(filled, sites.model_type(), layers, &notes));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<FreshLayers> fresh,
      MakeFreshLayers(filled, *method, layers, options.services));
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<LayerTensors> made,
      LayerTensorsMaker(sites, filled.targets, targets, *fresh, options.seed)
          .MakeAll());
  TensorMap& tensors = adapter.tensors;
  PEFT_RETURN_IF_ERROR(AddLayers(targets, layers, made, tensors));
  AddBaseBiases(filled.targets.bias, sites, targets, tensors);
  PEFT_RETURN_IF_ERROR(AddBaseModules(filled.targets, sites, tensors));
  PEFT_RETURN_IF_ERROR(AddBaseRows(filled.targets, sites, tensors));
  PEFT_RETURN_IF_ERROR(OwnAll(tensors));
  return adapter;
}

}  // namespace peft
