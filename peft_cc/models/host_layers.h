// A model that a program has itself: it lists its layers, and calls the
// adapted ones where its own code would have called them.
#ifndef PEFT_CC_MODELS_HOST_LAYERS_H_
#define PEFT_CC_MODELS_HOST_LAYERS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/layer_ranges.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// One module of such a model, or one parameter.
struct HostLayer {
  std::string name;  // as torch's named_modules() or named_parameters() has it
  std::optional<SiteKind> kind;  // none: a module that nothing attaches to
  Tensor weight;  // as Site has it; parameter: a matrix, or (experts, out, in)
  // In elements, where the weight is not contiguous, whatever it says itself.
  std::vector<int64_t> weight_strides;
  // Where the program keeps the weight to itself, which is then unspecified:
  // what it is.
  std::vector<int64_t> unseen_shape;
  DType unseen_dtype = DType::kUnspecified;
  Tensor bias;  // unspecified dtype: none
  // Merges may write into weight and bias, which no other layer has a part of.
  bool is_writable = false;
  bool is_output_embedding = false;
  // Of a norm: RMSNorm instead of LayerNorm, and what is added under the root.
  bool is_rms_norm = false;
  float norm_epsilon = 1e-5f;
  // Of a parameter of three axes: its matrices are stored (in, out).
  bool is_transposed = false;
  // Of a convolution: for each axis of its kernel, in torch's order. The others
  // are not read. A negative padding_end means: as padding.
  std::array<int64_t, 3> stride = {1, 1, 1};
  std::array<int64_t, 3> padding = {0, 0, 0};
  std::array<int64_t, 3> padding_end = {-1, -1, -1};
  std::array<int64_t, 3> dilation = {1, 1, 1};
  int64_t groups = 1;
};

// The sites of such a model. Modules that hold others ("encoder", of
// "encoder.fc") need no entry. The order is torch's, or the order of nesting
// and of what is listed may be another than in Python. INVALID_ARGUMENT
// (ARGUMENT) names the layer that is wrong. `layer_replication` is that of the
// table.
absl::StatusOr<SiteTable> BuildHostSites(
    const std::vector<HostLayer>& layers,
    const LayerRanges& layer_replication = {});

}  // namespace peft

#endif  // PEFT_CC_MODELS_HOST_LAYERS_H_
