// What a method is told about the layers that it adapts, and what it asks of
// the adapter's file.
#ifndef PEFT_CC_METHODS_LAYER_H_
#define PEFT_CC_METHODS_LAYER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernels/conv_geometry.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What a layer computes. Norms are among them because methods may replace them
// and because a wrong target should be told from an unknown one.
enum class SiteKind {
  kLinear,
  kConv1D,  // HF Conv1D: a linear layer whose weight is stored (in, out)
  kEmbedding,
  kNorm,
  kConvolution,         // torch's Conv1d, Conv2d and Conv3d
  kMultiheadAttention,  // torch's, its packed in_proj: linear, d to 3 d
  kParameter,           // a matrix that its module multiplies with by itself
};

// The layer below an adapter.
struct Layer {
  std::string name;  // as the model that the adapter was trained on calls it
  SiteKind kind = SiteKind::kLinear;
  int64_t in_features = 0;   // embedding: rows of the table
  int64_t out_features = 0;  // embedding: width of a row
  // Linear (out, in); Conv1D (in, out); embedding (rows, width); convolution
  // (out, in / groups, kernel ...). Unspecified dtype where a host registered
  // none.
  Tensor weight;
  kernels::ConvGeometry conv = {};  // of a convolution
  // Of a parameter: a layer stands for all its experts, the shapes above are
  // one's. Their tensors are stacked.
  int64_t num_experts = 1;
  // The weight came with the adapter: an init that changes the base has been
  // there already.
  bool is_after_init = false;
};

// The names of `layers`.
inline std::vector<std::string> NamesOf(const std::vector<Layer>& layers) {
  std::vector<std::string> names;
  names.reserve(layers.size());
  for (const Layer& layer : layers) names.push_back(layer.name);
  return names;
}

// A tensor that a layer needs, by its name behind the module's
// ("lora_A.weight").
struct TensorSpec {
  std::string part;
  std::vector<int64_t> shape;
};

// The tensors that a file has for one layer, by part.
using LayerTensors = std::map<std::string, Tensor, std::less<>>;

// The tensor of that part, or null.
inline const Tensor* FindPart(const LayerTensors& tensors,
                              absl::string_view part) {
  const auto it = tensors.find(part);
  return it == tensors.end() ? nullptr : &it->second;
}

}  // namespace peft

#endif  // PEFT_CC_METHODS_LAYER_H_
