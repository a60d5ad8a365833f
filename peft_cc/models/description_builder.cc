#include "peft_cc/models/description_builder.h"

#include <cmath>
#include <utility>

namespace peft {

DescriptionBuilder::DescriptionBuilder(const ModelConfig& config,
                                       const std::string& bare_prefix)
    : config_(config) {
  description_.num_layers = static_cast<int>(config.num_hidden_layers);
  AddModule("");
  if (config.task == ModelTask::kBase) return;
  AddModule(bare_prefix);
  description_.bare_prefix = bare_prefix + ".";
}

int DescriptionBuilder::AddBuffer(const char* name, int64_t width) {
  return AddColumns(name, -1, 0, width);
}

int DescriptionBuilder::AddColumns(const char* name, int parent, int64_t offset,
                                   int64_t width) {
  description_.buffers.push_back({name, width, parent, offset});
  return static_cast<int>(description_.buffers.size()) - 1;
}

void DescriptionBuilder::AddModule(std::string name) {
  description_.module_names.push_back(std::move(name));
}

// A weight of the site that is added next.
int DescriptionBuilder::AddWeight(const std::string& name,
                                  std::vector<int64_t> shape) {
  WeightInfo weight;
  weight.name = name;
  weight.shape = std::move(shape);
  weight.site = static_cast<int>(description_.sites.size());
  weight.layer = layer_;
  description_.weights.push_back(std::move(weight));
  return static_cast<int>(description_.weights.size()) - 1;
}

int DescriptionBuilder::AddSite(SiteInfo site,
                                std::vector<int64_t> weight_shape,
                                bool has_bias) {
  site.weight = AddWeight(site.name + ".weight", std::move(weight_shape));
  if (has_bias) site.bias = AddWeight(site.name + ".bias", {site.out_features});
  AddModule(site.name);
  description_.sites.push_back(std::move(site));
  return static_cast<int>(description_.sites.size()) - 1;
}

int DescriptionBuilder::AddLinear(std::string name, int64_t in, int64_t out,
                                  bool has_bias) {
  return AddSite({std::move(name), SiteKind::kLinear, in, out}, {out, in},
                 has_bias);
}

int DescriptionBuilder::AddConv1D(std::string name, int64_t in, int64_t out) {
  return AddSite({std::move(name), SiteKind::kConv1D, in, out}, {in, out},
                 true);
}

int DescriptionBuilder::AddRmsNorm(std::string name, int64_t width) {
  return AddSite({std::move(name), SiteKind::kNorm, width, width}, {width},
                 false);
}

int DescriptionBuilder::AddLayerNorm(std::string name, int64_t width) {
  return AddSite({std::move(name), SiteKind::kNorm, width, width}, {width},
                 true);
}

int DescriptionBuilder::AddEmbedding(std::string name, int64_t rows,
                                     int64_t width) {
  return AddSite({std::move(name), SiteKind::kEmbedding, rows, width},
                 {rows, width}, false);
}

int DescriptionBuilder::AddLmHead(int embedding) {
  const int site =
      AddLinear("lm_head", config_.hidden_size, config_.vocab_size, false);
  description_.sites[site].is_output_embedding = true;
  description_.logits_buffer = AddBuffer("logits", config_.vocab_size);
  Tie(site, embedding);
  return site;
}

int DescriptionBuilder::AddClassifier(const char* name, bool has_bias) {
  const int site =
      AddLinear(name, config_.hidden_size, config_.num_labels, has_bias);
  description_.sites[site].is_classifier = true;
  description_.logits_buffer = AddBuffer("logits", config_.num_labels);
  return site;
}

int DescriptionBuilder::AddSpanHead() {
  const int site = AddLinear("qa_outputs", config_.hidden_size, 2, true);
  description_.logits_buffer = AddBuffer("logits", 2);
  return site;
}

Op& DescriptionBuilder::AddOp(OpKind kind, int input, int output) {
  Op op;
  op.kind = kind;
  op.layer = layer_;
  op.input = input;
  op.output = output;
  description_.ops.push_back(op);
  return description_.ops.back();
}

void DescriptionBuilder::AddLinearOp(int site, int input, int output) {
  AddOp(OpKind::kLinear, input, output).site = site;
}

void DescriptionBuilder::AddRmsNormOp(int site, float epsilon, int input,
                                      int output) {
  Op& op = AddOp(OpKind::kRmsNorm, input, output);
  op.site = site;
  op.epsilon = epsilon;
}

void DescriptionBuilder::AddLayerNormOp(int site, float epsilon, int input,
                                        int output) {
  Op& op = AddOp(OpKind::kLayerNorm, input, output);
  op.site = site;
  op.epsilon = epsilon;
}

void DescriptionBuilder::AddActivationOp(kernels::Activation activation,
                                         int input, int output) {
  AddOp(OpKind::kActivation, input, output).activation = activation;
}

Op& DescriptionBuilder::AddEmbedOp(int site, TokenSource source, int output) {
  Op& op = AddOp(OpKind::kEmbed, -1, output);
  op.site = site;
  op.source = source;
  return op;
}

Op& DescriptionBuilder::AddAttentionOp(int queries, int keys, int values,
                                       int output) {
  Op& op = AddOp(OpKind::kAttention, queries, output);
  op.input2 = keys;
  op.input3 = values;
  op.attention.num_heads = config_.num_attention_heads;
  op.attention.num_kv_heads = config_.num_key_value_heads;
  op.attention.head_dim = config_.head_dim;
  op.attention.scale = static_cast<float>(
      1.0 / std::sqrt(static_cast<double>(config_.head_dim)));
  op.attention.causal = config_.is_causal;
  return op;
}

void DescriptionBuilder::BeginHead(int hidden_buffer) {
  description_.hidden_buffer = hidden_buffer;
  description_.head_begin = static_cast<int>(description_.ops.size());
}

void DescriptionBuilder::BeginLogits(int last_hidden_buffer) {
  description_.last_hidden_buffer = last_hidden_buffer;
  description_.logits_begin = static_cast<int>(description_.ops.size());
}

void DescriptionBuilder::Tie(int head, int embedding) {
  if (!config_.tie_word_embeddings) return;
  description_.tied_weight = description_.sites[head].weight;
  description_.tied_to = description_.sites[embedding].weight;
}

// A site that no operation runs would count as used by the first.
Description DescriptionBuilder::Take() {
  std::vector<int> op_of_site(description_.sites.size(), 0);
  for (int i = static_cast<int>(description_.ops.size()) - 1; i >= 0; --i) {
    const int site = description_.ops[i].site;
    if (site >= 0) op_of_site[site] = i;
  }
  for (WeightInfo& weight : description_.weights) {
    weight.first_use = op_of_site[weight.site];
  }
  return std::move(description_);
}

}  // namespace peft
