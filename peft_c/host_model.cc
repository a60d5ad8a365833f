// Models made of a program's own layers, and layers run one by one.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/activation.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_array.h"
#include "peft_c/struct_size.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/host_layers.h"

namespace peft {
namespace {

// Writes the kind to `layer`.
absl::Status SetKind(absl::string_view argument, int32_t kind,
                     HostLayer& layer) {
  switch (kind) {
    case PEFT_LAYER_OTHER:
      return absl::OkStatus();
    case PEFT_LAYER_LINEAR:
      layer.kind = SiteKind::kLinear;
      return absl::OkStatus();
    case PEFT_LAYER_CONV1D_HF:
      layer.kind = SiteKind::kConv1D;
      return absl::OkStatus();
    case PEFT_LAYER_EMBEDDING:
      layer.kind = SiteKind::kEmbedding;
      return absl::OkStatus();
    case PEFT_LAYER_LAYER_NORM:
    case PEFT_LAYER_RMS_NORM:
      layer.kind = SiteKind::kNorm;
      layer.is_rms_norm = kind == PEFT_LAYER_RMS_NORM;
      return absl::OkStatus();
    case PEFT_LAYER_CONV:
      layer.kind = SiteKind::kConvolution;
      return absl::OkStatus();
    case PEFT_LAYER_MULTIHEAD_ATTENTION:
      layer.kind = SiteKind::kMultiheadAttention;
      return absl::OkStatus();
    case PEFT_LAYER_PARAMETER:
      layer.kind = SiteKind::kParameter;
      return absl::OkStatus();
    default:
      return BadArgument(
          argument, absl::StrCat("is ", kind, ", expected a PEFT_LAYER_..."));
  }
}

absl::StatusOr<Tensor> BiasOf(absl::string_view argument,
                              const peft_tensor_view_t* view, bool copy) {
  if (view == nullptr) return Tensor();
  return copy ? CopyTensorView(argument, view)
              : BorrowTensorView(argument, view);
}

// The weight of a layer, or what is known of one that the program keeps.
absl::Status SetWeight(const std::string& argument,
                       const peft_tensor_view_t* view, bool copy,
                       HostLayer& layer) {
  if (view == nullptr) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(ViewShape shape, ReadViewShape(argument, view));
  if (shape.has_data && copy) {
    PEFT_ASSIGN_OR_RETURN(layer.weight, CopyTensorView(argument, view));
    return absl::OkStatus();
  }
  if (shape.has_data) {
    PEFT_ASSIGN_OR_RETURN(
        layer.weight, BorrowStridedView(argument, view, layer.weight_strides));
    return absl::OkStatus();
  }
  layer.unseen_shape = std::move(shape.sizes);
  layer.unseen_dtype = shape.dtype;
  return absl::OkStatus();
}

// `argument` names the array's element.
absl::StatusOr<HostLayer> LayerOf(const std::string& argument,
                                  const peft_layer_t* in) {
  const auto field = [&](const char* name) {
    return absl::StrCat(argument, ".", name);
  };
  peft_layer_t known = PEFT_LAYER_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct(argument, in, &known));
  HostLayer layer;
  PEFT_ASSIGN_OR_RETURN(layer.name, TextArgument(field("name"), known.name));
  PEFT_RETURN_IF_ERROR(SetKind(field("kind"), known.kind, layer));
  PEFT_ASSIGN_OR_RETURN(
      layer.is_output_embedding,
      FlagArgument(field("is_output_embedding"), known.is_output_embedding));
  PEFT_ASSIGN_OR_RETURN(
      layer.is_transposed,
      FlagArgument(field("is_transposed"), known.is_transposed));
  PEFT_ASSIGN_OR_RETURN(
      const bool copy, FlagArgument(field("copy_weights"), known.copy_weights));
  PEFT_RETURN_IF_ERROR(SetWeight(field("weight"), known.weight, copy, layer));
  PEFT_ASSIGN_OR_RETURN(
      layer.is_writable,
      FlagArgument(field("writable_weights"), known.writable_weights));
  if (layer.is_writable && copy) {
    return BadArgument(field("writable_weights"),
                       "is 1, but copy_weights is, too: a copy would be "
                       "written");
  }
  PEFT_ASSIGN_OR_RETURN(layer.bias, BiasOf(field("bias"), known.bias, copy));
  std::copy_n(known.stride, 3, layer.stride.begin());
  std::copy_n(known.padding, 3, layer.padding.begin());
  std::copy_n(known.padding_end, 3, layer.padding_end.begin());
  std::copy_n(known.dilation, 3, layer.dilation.begin());
  layer.groups = known.groups;
  layer.norm_epsilon = static_cast<float>(known.epsilon);
  return layer;
}

absl::StatusOr<std::vector<HostLayer>> LayersOf(const peft_layer_t* layers,
                                                size_t num_layers) {
  std::vector<HostLayer> result;
  PEFT_RETURN_IF_ERROR(ForEachStruct(
      "layers", layers, num_layers,
      [&](const std::string& name, const peft_layer_t* in) -> absl::Status {
        PEFT_ASSIGN_OR_RETURN(HostLayer layer, LayerOf(name, in));
        result.push_back(std::move(layer));
        return absl::OkStatus();
      }));
  return result;
}

}  // namespace
}  // namespace peft

void peft_layer_init(peft_layer_t* layer, size_t struct_size) {
  static constexpr peft_layer_t kDefaults = PEFT_LAYER_INIT;
  peft::InitStruct(kDefaults, layer, struct_size);
}

peft_status_t* peft_model_create(const peft_layer_t* layers, size_t num_layers,
                                 const peft_model_options_t* options,
                                 peft_model_t** out_model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_model", out_model));
    PEFT_ASSIGN_OR_RETURN(const peft::ModelOptions known,
                          peft::ModelOptionsOf(options));
    PEFT_ASSIGN_OR_RETURN(const std::vector<peft::HostLayer> checked,
                          peft::LayersOf(layers, num_layers));
    if (known.files != nullptr) {
      return peft::BadArgument("options.files",
                               "are given, but the layers are the program's");
    }
    PEFT_ASSIGN_OR_RETURN(std::unique_ptr<peft::Model> model,
                          peft::Model::Create(checked, known));
    return peft::NewHandle(std::shared_ptr<peft::Model>(std::move(model)),
                           out_model);
  });
}

void peft_run_layer_options_init(peft_run_layer_options_t* options,
                                 size_t struct_size) {
  static constexpr peft_run_layer_options_t kDefaults =
      PEFT_RUN_LAYER_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_run_layer(const peft_model_t* model, const char* name,
                                    const peft_tensor_view_t* x,
                                    const peft_run_layer_options_t* options,
                                    peft_tensor_t** out_y) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_y", out_y));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string layer,
                          peft::TextArgument("name", name));
    peft_run_layer_options_t known = PEFT_RUN_LAYER_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(peft::ReadOptions(options, &known));
    if (known.stream != nullptr) {
      return peft::BadArgument("options.stream",
                               "is not NULL, and layers run on the CPU here");
    }
    PEFT_ASSIGN_OR_RETURN(const peft::Tensor input,
                          peft::CopyTensorView("x", x));
    // Before the plans are made, which a merge into the weights would outdate.
    PEFT_ASSIGN_OR_RETURN(const peft::WeightsGate::Use use,
                          object->UseWeights());
    const peft::RowOptions rows = {known.adapter_names, known.num_adapter_names,
                                   known.activations, known.num_activations};
    // The layer compares their number with that of its rows.
    const size_t count =
        std::max(known.num_adapter_names, known.num_activations);
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<peft::BatchPlan> plans,
        peft::ReadRows(rows, static_cast<int64_t>(count), *object));
    PEFT_ASSIGN_OR_RETURN(
        peft::Tensor y,
        object->RunLayer(layer, known.expert, input,
                         plans.has_value() ? &*plans : nullptr));
    return peft::NewHandle(std::make_shared<const peft::Tensor>(std::move(y)),
                           out_y);
  });
}
