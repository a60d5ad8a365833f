// Sites: the named places of a model where adapters attach.
#ifndef PEFT_CC_ADAPTERS_SITE_H_
#define PEFT_CC_ADAPTERS_SITE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/conv_geometry.h"
#include "peft_cc/config/layer_ranges.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// A layer of the base model. Its tensors are views that the base model keeps
// alive; adapters never change them.
struct Site {
  std::string name;  // transformers' module name
  SiteKind kind = SiteKind::kLinear;
  int64_t in_features = 0;   // embedding: rows of the table
  int64_t out_features = 0;  // norm: its width
  Tensor weight;             // linear (out, in); Conv1D (in, out); embedding
                             // (rows, width); norm (width); convolution
                             // (out, in / groups, kernel ...)
  Tensor bias;               // unspecified dtype when the layer has none
  // What the weight's shape is where a program keeps the weight to itself:
  // `weight` then has an unspecified dtype.
  std::vector<int64_t> unseen_shape = {};
  // The program lets merges write into weight and bias.
  bool is_writable = false;
  bool is_output_embedding = false;
  // The classifying layer on top of a model, "score" or "classifier".
  bool is_classifier = false;
  // Of a norm that can be run by itself: RMSNorm or LayerNorm, and its epsilon.
  // Others have -1 here.
  bool is_rms_norm = false;
  float norm_epsilon = -1;
  // Of a convolution. It is linear in columns of its input: in_features counts
  // those, over all groups.
  kernels::ConvGeometry conv = {};
  // Of kParameter: the parameter's name, "mlp.experts.down_proj". One of three
  // axes has a site per expert, named "mlp.experts.down_proj[0]" and so on.
  std::string parameter = {};
  // Of kParameter: the weight is stored (in, out).
  bool is_parameter_transposed = false;

  // The module that the weight belongs to: `name`, but for a parameter.
  absl::string_view module() const;
  // What the module calls its weight and its bias: "weight" and "bias" mostly.
  absl::string_view weight_part() const;
  absl::string_view bias_part() const;
  // False where a program keeps the weight to itself.
  bool has_weight() const { return weight.dtype() != DType::kUnspecified; }
  absl::Span<const int64_t> weight_shape() const {
    return has_weight() ? weight.shape() : unseen_shape;
  }
  // True if the layer adds a bias.
  bool has_bias() const { return bias.dtype() != DType::kUnspecified; }
  // True if the weight is stored (in, out).
  bool is_transposed() const {
    return kind == SiteKind::kConv1D || is_parameter_transposed;
  }
};

// The sites of one parameter: consecutive, a site per expert.
struct ParameterSites {
  std::string name;   // "mlp.experts.down_proj"
  int first = 0;      // index into SiteTable::sites()
  int num_sites = 0;  // 1 for a matrix
};

// The sites of one model in module order, and every other module name of it
// (containers such as "model.layers.0.self_attn"), which target matching needs
// to tell a wrong target from an unknown one. Immutable after construction.
class SiteTable {
 public:
  // No sites.
  SiteTable() = default;

  // `module_names` are all of the model, sites included, in transformers'
  // order; `model_type` is that of its config.json.
  SiteTable(std::vector<Site> sites, std::vector<std::string> module_names,
            std::string model_type, LayerRanges layer_replication = {});

  // The index points into the names, which a move leaves in their place.
  SiteTable(SiteTable&&) = default;
  SiteTable& operator=(SiteTable&&) = default;

  // In module order.
  const std::vector<Site>& sites() const { return sites_; }
  // Index into sites(), or -1.
  int Find(absl::string_view name) const;
  // The parameters that have sites of their own, in module order.
  const std::vector<ParameterSites>& parameters() const { return parameters_; }
  // The one of that name, or null.
  const ParameterSites* FindParameter(absl::string_view name) const;
  // All modules in transformers' order (sites included).
  const std::vector<std::string>& module_names() const { return module_names_; }
  // Chooses default targets where a config has none.
  const std::string& model_type() const { return model_type_; }
  // The layers of the base that the model's are, simplified. Empty: the base's
  // own.
  const LayerRanges& layer_replication() const { return layer_replication_; }

 private:
  std::vector<Site> sites_;
  std::vector<std::string> module_names_;
  std::string model_type_;
  LayerRanges layer_replication_;
  std::vector<ParameterSites> parameters_;
  std::unordered_map<absl::string_view, int> index_;  // keys are in sites_
};

// The embedding that trainable_token_indices means without a name, an index
// into SiteTable::sites(), or -1: in a model of transformers its first one, in
// another "embed_tokens".
int FindInputEmbedding(const SiteTable& sites);

// The heads whose weight is that of site `embedding`, in models that tie them.
std::vector<int> FindTiedHeads(const SiteTable& sites, int embedding);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SITE_H_
