#include "peft_cc/models/description.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace peft {
namespace {

// Adds modules first, in transformers' order, and then the operations, which
// run them in another: norms come before what they feed.
class Builder {
 public:
  explicit Builder(const DecoderConfig& config) : config_(config) {
    description_.num_layers = static_cast<int>(config.num_hidden_layers);
    AddBuffers();
    AddModules();
    AddOps();
    SetFirstUses();
  }

  Description Take() { return std::move(description_); }

 private:
  // Sites of one decoder layer.
  struct LayerSites {
    int q, k, v, o;
    int q_norm = -1, k_norm = -1;
    int gate, up, down;
    int input_norm, post_norm;
  };

  int64_t q_width() const {
    return config_.num_attention_heads * config_.head_dim;
  }
  int64_t kv_width() const {
    return config_.num_key_value_heads * config_.head_dim;
  }

  // Returns the index of the new buffer.
  int AddBuffer(const char* name, int64_t width) {
    description_.buffers.push_back({name, width});
    return static_cast<int>(description_.buffers.size()) - 1;
  }

  void AddBuffers() {
    hidden_ = AddBuffer("hidden", config_.hidden_size);
    normed_ = AddBuffer("normed", config_.hidden_size);
    queries_ = AddBuffer("queries", q_width());
    keys_ = AddBuffer("keys", kv_width());
    values_ = AddBuffer("values", kv_width());
    attended_ = AddBuffer("attended", q_width());
    gate_ = AddBuffer("gate", config_.intermediate_size);
    up_ = AddBuffer("up", config_.intermediate_size);
    logits_ = AddBuffer("logits", config_.vocab_size);
    description_.hidden_buffer = hidden_;
    description_.logits_buffer = logits_;
  }

  void AddModule(std::string name) {
    description_.module_names.push_back(std::move(name));
  }

  // A weight of the site that is added next.
  int AddWeight(const std::string& name, std::vector<int64_t> shape,
                int layer) {
    WeightInfo weight;
    weight.name = name;
    weight.shape = std::move(shape);
    weight.site = static_cast<int>(description_.sites.size());
    weight.layer = layer;
    description_.weights.push_back(std::move(weight));
    return static_cast<int>(description_.weights.size()) - 1;
  }

  int AddSite(SiteInfo site, std::vector<int64_t> weight_shape, bool has_bias,
              int layer) {
    site.weight =
        AddWeight(site.name + ".weight", std::move(weight_shape), layer);
    if (has_bias) {
      site.bias = AddWeight(site.name + ".bias", {site.out_features}, layer);
    }
    AddModule(site.name);
    description_.sites.push_back(std::move(site));
    return static_cast<int>(description_.sites.size()) - 1;
  }

  int AddLinear(std::string name, int64_t in, int64_t out, bool has_bias,
                int layer) {
    return AddSite({std::move(name), SiteKind::kLinear, in, out}, {out, in},
                   has_bias, layer);
  }

  int AddNorm(std::string name, int64_t width, int layer) {
    return AddSite({std::move(name), SiteKind::kNorm, width, width}, {width},
                   false, layer);
  }

  void AddAttentionModules(const std::string& prefix, int layer,
                           LayerSites& sites) {
    const int64_t hidden = config_.hidden_size;
    const bool bias = config_.qkv_bias;
    AddModule(prefix);
    sites.q = AddLinear(prefix + ".q_proj", hidden, q_width(), bias, layer);
    sites.k = AddLinear(prefix + ".k_proj", hidden, kv_width(), bias, layer);
    sites.v = AddLinear(prefix + ".v_proj", hidden, kv_width(), bias, layer);
    sites.o =
        AddLinear(prefix + ".o_proj", q_width(), hidden, config_.o_bias, layer);
    if (!config_.qk_norm) return;
    sites.q_norm = AddNorm(prefix + ".q_norm", config_.head_dim, layer);
    sites.k_norm = AddNorm(prefix + ".k_norm", config_.head_dim, layer);
  }

  void AddMlpModules(const std::string& prefix, int layer, LayerSites& sites) {
    const int64_t hidden = config_.hidden_size;
    const int64_t inner = config_.intermediate_size;
    const bool bias = config_.mlp_bias;
    AddModule(prefix);
    sites.gate = AddLinear(prefix + ".gate_proj", hidden, inner, bias, layer);
    sites.up = AddLinear(prefix + ".up_proj", hidden, inner, bias, layer);
    sites.down = AddLinear(prefix + ".down_proj", inner, hidden, bias, layer);
    AddModule(prefix + ".act_fn");
  }

  // In the order in which transformers' decoder layer declares them: norms
  // last.
  void AddLayerModules(int layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer);
    LayerSites sites;
    AddModule(prefix);
    AddAttentionModules(prefix + ".self_attn", layer, sites);
    AddMlpModules(prefix + ".mlp", layer, sites);
    sites.input_norm =
        AddNorm(prefix + ".input_layernorm", config_.hidden_size, layer);
    sites.post_norm = AddNorm(prefix + ".post_attention_layernorm",
                              config_.hidden_size, layer);
    layers_.push_back(sites);
  }

  void AddModules() {
    const int64_t hidden = config_.hidden_size;
    const int64_t vocabulary = config_.vocab_size;
    AddModule("");
    AddModule("model");
    embedding_ = AddSite(
        {"model.embed_tokens", SiteKind::kEmbedding, vocabulary, hidden},
        {vocabulary, hidden}, false, -1);
    AddModule("model.layers");
    for (int layer = 0; layer < description_.num_layers; ++layer) {
      AddLayerModules(layer);
    }
    final_norm_ = AddNorm("model.norm", hidden, -1);
    AddModule("model.rotary_emb");
    head_ = AddLinear("lm_head", hidden, vocabulary, false, -1);
    if (config_.tie_word_embeddings) {
      description_.tied_weight = description_.sites[head_].weight;
      description_.tied_to = description_.sites[embedding_].weight;
    }
  }

  Op& AddOp(OpKind kind, int layer, int input, int output) {
    Op op;
    op.kind = kind;
    op.layer = layer;
    op.input = input;
    op.output = output;
    description_.ops.push_back(op);
    return description_.ops.back();
  }

  void AddLinearOp(int site, int layer, int input, int output) {
    AddOp(OpKind::kLinear, layer, input, output).site = site;
  }

  void AddNormOp(int site, int layer, int input, int output) {
    Op& op = AddOp(OpKind::kRmsNorm, layer, input, output);
    op.site = site;
    op.weight = description_.sites[site].weight;
  }

  // hidden += o_proj(attention(...)). The output of o_proj lies in the buffer
  // of the normed input, which nobody reads any more.
  void AddAttentionOps(const LayerSites& sites, int layer) {
    AddNormOp(sites.input_norm, layer, hidden_, normed_);
    AddLinearOp(sites.q, layer, normed_, queries_);
    AddLinearOp(sites.k, layer, normed_, keys_);
    AddLinearOp(sites.v, layer, normed_, values_);
    if (config_.qk_norm) {
      AddNormOp(sites.q_norm, layer, queries_, queries_);
      AddNormOp(sites.k_norm, layer, keys_, keys_);
    }
    AddOp(OpKind::kRope, layer, queries_, queries_);
    AddOp(OpKind::kRope, layer, keys_, keys_);
    Op& attention = AddOp(OpKind::kAttention, layer, queries_, attended_);
    attention.input2 = keys_;
    attention.input3 = values_;
    AddLinearOp(sites.o, layer, attended_, normed_);
    AddOp(OpKind::kAdd, layer, normed_, hidden_);
  }

  // hidden += down_proj(act(gate_proj) * up_proj), in the same way.
  void AddMlpOps(const LayerSites& sites, int layer) {
    AddNormOp(sites.post_norm, layer, hidden_, normed_);
    AddLinearOp(sites.gate, layer, normed_, gate_);
    AddLinearOp(sites.up, layer, normed_, up_);
    AddOp(OpKind::kGatedActivation, layer, gate_, gate_).input2 = up_;
    AddLinearOp(sites.down, layer, gate_, normed_);
    AddOp(OpKind::kAdd, layer, normed_, hidden_);
  }

  void AddOps() {
    AddOp(OpKind::kEmbed, -1, -1, hidden_).site = embedding_;
    for (int layer = 0; layer < description_.num_layers; ++layer) {
      AddAttentionOps(layers_[layer], layer);
      AddMlpOps(layers_[layer], layer);
    }
    description_.head_begin = static_cast<int>(description_.ops.size());
    AddNormOp(final_norm_, -1, hidden_, normed_);
    AddLinearOp(head_, -1, normed_, logits_);
  }

  // Every site is run by exactly one operation.
  void SetFirstUses() {
    std::vector<int> op_of_site(description_.sites.size(), 0);
    for (size_t i = 0; i < description_.ops.size(); ++i) {
      const int site = description_.ops[i].site;
      if (site >= 0) op_of_site[site] = static_cast<int>(i);
    }
    for (WeightInfo& weight : description_.weights) {
      weight.first_use = op_of_site[weight.site];
    }
  }

  const DecoderConfig& config_;
  Description description_;
  std::vector<LayerSites> layers_;
  int hidden_, normed_, queries_, keys_, values_, attended_, gate_, up_;
  int logits_;
  int embedding_, final_norm_, head_;
};

}  // namespace

Description DescribeDecoder(const DecoderConfig& config) {
  return Builder(config).Take();
}

}  // namespace peft
