// Sites: the named places of a model where adapters attach.
#ifndef PEFT_CC_ADAPTERS_SITE_H_
#define PEFT_CC_ADAPTERS_SITE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
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
                             // (rows, width); norm (width)
  Tensor bias;               // unspecified dtype when the layer has none
  bool is_output_embedding = false;

  // True if the layer adds a bias.
  bool has_bias() const { return bias.dtype() != DType::kUnspecified; }
  // True if the weight is stored (in, out).
  bool is_transposed() const { return kind == SiteKind::kConv1D; }
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
            std::string model_type);

  // The index points into the names, which a move leaves in their place.
  SiteTable(SiteTable&&) = default;
  SiteTable& operator=(SiteTable&&) = default;

  // In module order.
  const std::vector<Site>& sites() const { return sites_; }
  // Index into sites(), or -1.
  int Find(absl::string_view name) const;
  // All modules in transformers' order (sites included).
  const std::vector<std::string>& module_names() const { return module_names_; }
  // Chooses default targets where a config has none.
  const std::string& model_type() const { return model_type_; }

 private:
  std::vector<Site> sites_;
  std::vector<std::string> module_names_;
  std::string model_type_;
  std::unordered_map<absl::string_view, int> index_;  // keys are in sites_
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SITE_H_
