// What the families' descriptions are built with.
#ifndef PEFT_CC_MODELS_DESCRIPTION_BUILDER_H_
#define PEFT_CC_MODELS_DESCRIPTION_BUILDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "peft_cc/models/description.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Modules and sites are added in transformers' order, operations in theirs.
// Adders return the index of what they have added. Thread-compatible.
class DescriptionBuilder {
 public:
  // `bare_prefix` is the name of the bare model inside one with a head,
  // "model", which the names of a bare model lack.
  DescriptionBuilder(const ModelConfig& config, const std::string& bare_prefix);

  // `name`, a module's inside the bare model, as the whole model calls it.
  std::string InBare(const std::string& name) const {
    return description_.bare_prefix + name;
  }

  int AddBuffer(const char* name, int64_t width);
  // Columns [offset, offset + width) of buffer `parent`.
  int AddColumns(const char* name, int parent, int64_t offset, int64_t width);

  // A module without weights, or the root with "".
  void AddModule(std::string name);
  // Linear layers, norms and tables; the layer is that of SetLayer.
  int AddLinear(std::string name, int64_t in, int64_t out, bool has_bias);
  int AddConv1D(std::string name, int64_t in, int64_t out);
  int AddRmsNorm(std::string name, int64_t width);
  int AddLayerNorm(std::string name, int64_t width);
  int AddEmbedding(std::string name, int64_t rows, int64_t width);
  // lm_head, without a bias, tied to `embedding` if the config says so.
  int AddLmHead(int embedding);
  // The classifying layer, which makes the logits; its outputs are the labels.
  int AddClassifier(const char* name, bool has_bias);
  // qa_outputs: the start and the end of an answer.
  int AddSpanHead();

  // The layer of the sites and operations that are added next; -1 outside.
  void SetLayer(int layer) { layer_ = layer; }

  Op& AddOp(OpKind kind, int input, int output);
  void AddLinearOp(int site, int input, int output);
  void AddRmsNormOp(int site, float epsilon, int input, int output);
  void AddLayerNormOp(int site, float epsilon, int input, int output);
  void AddActivationOp(kernels::Activation activation, int input, int output);
  Op& AddEmbedOp(int site, TokenSource source, int output);
  // Attention with the shape of the config's heads and 1 / sqrt(head_dim).
  Op& AddAttentionOp(int queries, int keys, int values, int output);

  // Ends the part of the ops that all rows run, and the one that makes
  // last_hidden_state, which is then in `buffer`.
  void BeginHead(int hidden_buffer);
  void BeginLogits(int last_hidden_buffer);

  // Ties the weight of linear `head` to the table `embedding`, if the config
  // says so.
  void Tie(int head, int embedding);

  // For what a family sets itself.
  Description& description() { return description_; }

  Description Take();

 private:
  int AddWeight(const std::string& name, std::vector<int64_t> shape);
  int AddSite(SiteInfo site, std::vector<int64_t> weight_shape, bool has_bias);

  const ModelConfig& config_;
  Description description_;
  int layer_ = -1;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_DESCRIPTION_BUILDER_H_
