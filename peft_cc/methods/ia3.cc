#include "peft_cc/methods/ia3.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/default_targets.h"
#include "peft_cc/config/python_regex.h"

namespace peft {
namespace {

constexpr char kPart[] = "ia3_l";

// A convolution has a number for each channel, on the channels' axis.
std::vector<int64_t> ShapeOf(const Layer& layer, bool is_feedforward) {
  if (layer.kind != SiteKind::kConvolution) {
    return is_feedforward ? std::vector<int64_t>{1, layer.in_features}
                          : std::vector<int64_t>{layer.out_features, 1};
  }
  std::vector<int64_t> shape = {
      1, is_feedforward ? layer.conv.in_channels : layer.out_features};
  shape.resize(2 + layer.conv.num_axes, 1);
  return shape;
}

absl::Status CheckLayer(const Layer& layer) {
  if (layer.kind != SiteKind::kConvolution || layer.conv.num_axes > 1) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("target module ", Quoted(layer.name),
                   " is a Conv1d; of convolutions IA3 can only adapt Conv2d "
                   "and Conv3d: correct target_modules"),
      {"target_modules", "a Conv2d or a Conv3d", layer.name});
}

// How many columns come from a channel, which has one factor.
int64_t ColumnsOfChannel(const Layer& layer) {
  return layer.kind == SiteKind::kConvolution
             ? layer.in_features / layer.conv.in_channels
             : 1;
}

class Ia3 : public Method {
 public:
  Ia3(std::vector<Layer> layers, std::vector<bool> is_feedforward)
      : layers_(std::move(layers)),
        is_feedforward_(std::move(is_feedforward)) {}

  absl::StatusOr<std::vector<TensorSpec>> Tensors(size_t i) const override {
    const Layer& layer = layers_[i];
    PEFT_RETURN_IF_ERROR(CheckLayer(layer));
    return std::vector<TensorSpec>{{kPart, ShapeOf(layer, is_feedforward_[i])}};
  }

  std::string ShapeReason(size_t i) const override {
    return absl::StrCat(is_feedforward_[i] ? "a" : "no",
                        " feedforward module by the config");
  }

  absl::StatusOr<SiteProgram> Lower(size_t i, const LayerTensors& tensors,
                                    const LowerServices&) const override {
    const Tensor* l = FindPart(tensors, kPart);
    SiteProgram program;
    if (l == nullptr) return program;
    if (is_feedforward_[i]) {
      program.push_back(ScaleIn{Floats::Of(*l), ColumnsOfChannel(layers_[i])});
    } else {
      program.push_back(ScaleOut{Floats::Of(*l), /*with_bias=*/true});
    }
    return program;
  }

 private:
  const std::vector<Layer> layers_;
  const std::vector<bool> is_feedforward_;
};

absl::StatusOr<ModuleSelector> FeedforwardOf(const Ia3Config& config,
                                             const std::string& model_type) {
  if (config.feedforward_modules.has_value()) {
    return *config.feedforward_modules;
  }
  std::optional<ModuleSelector> modules = DefaultFeedforward(model_type);
  if (modules.has_value()) return *std::move(modules);
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat("feedforward_modules is null, and there is no default for a "
                   "model of type ",
                   Quoted(model_type), "; please specify feedforward_modules"),
      {"feedforward_modules", "a list of names or a regex", "null"});
}

// A name needs no dot before it, unlike those of target_modules.
bool EndsWithAny(const std::string& module,
                 const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const auto& name) {
    return absl::EndsWith(module, name);
  });
}

absl::StatusOr<std::vector<bool>> FindFeedforward(
    const ModuleSelector& modules, const std::vector<Layer>& layers) {
  std::optional<PythonRegex> regex;
  if (modules.is_regex) {
    absl::StatusOr<PythonRegex> compiled = PythonRegex::Compile(modules.regex);
    if (!compiled.ok()) {
      return WithContext(compiled.status(), "feedforward_modules");
    }
    regex = *std::move(compiled);
  }
  std::vector<bool> result;
  for (const Layer& layer : layers) {
    bool found = false;
    if (regex.has_value()) {
      PEFT_ASSIGN_OR_RETURN(found, regex->FullMatch(layer.name));
    } else {
      found = EndsWithAny(layer.name, modules.names);
    }
    result.push_back(found);
  }
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Method>> MakeIa3(const AdapterConfig& config,
                                                const std::string& model_type,
                                                std::vector<Layer> layers,
                                                std::vector<std::string>*) {
  if (layers.empty()) {
    return std::unique_ptr<Method>(
        std::make_unique<Ia3>(std::move(layers), std::vector<bool>()));
  }
  PEFT_ASSIGN_OR_RETURN(const ModuleSelector modules,
                        FeedforwardOf(*config.ia3, model_type));
  PEFT_ASSIGN_OR_RETURN(std::vector<bool> is_feedforward,
                        FindFeedforward(modules, layers));
  return std::unique_ptr<Method>(
      std::make_unique<Ia3>(std::move(layers), std::move(is_feedforward)));
}

}  // namespace peft
