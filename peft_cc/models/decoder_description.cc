#include "peft_cc/models/decoder_description.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/models/description_builder.h"

namespace peft {
namespace {

// Modules first, in transformers' order, and then the operations, which run
// them in another: norms come before what they feed.
class DecoderBuilder {
 public:
  explicit DecoderBuilder(const DecoderConfig& config)
      : config_(config), builder_(config, "model") {
    AddBuffers();
    AddModules();
    AddOps();
  }

  Description Take() { return builder_.Take(); }

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

  void AddBuffers() {
    hidden_ = builder_.AddBuffer("hidden", config_.hidden_size);
    normed_ = builder_.AddBuffer("normed", config_.hidden_size);
    queries_ = builder_.AddBuffer("queries", q_width());
    keys_ = builder_.AddBuffer("keys", kv_width());
    values_ = builder_.AddBuffer("values", kv_width());
    attended_ = builder_.AddBuffer("attended", q_width());
    gate_ = builder_.AddBuffer("gate", config_.intermediate_size);
    up_ = builder_.AddBuffer("up", config_.intermediate_size);
  }

  void AddAttentionModules(const std::string& prefix, LayerSites& sites) {
    const int64_t hidden = config_.hidden_size;
    const bool bias = config_.qkv_bias;
    builder_.AddModule(prefix);
    sites.q = builder_.AddLinear(prefix + ".q_proj", hidden, q_width(), bias);
    sites.k = builder_.AddLinear(prefix + ".k_proj", hidden, kv_width(), bias);
    sites.v = builder_.AddLinear(prefix + ".v_proj", hidden, kv_width(), bias);
    sites.o = builder_.AddLinear(prefix + ".o_proj", q_width(), hidden,
                                 config_.o_bias);
    if (!config_.qk_norm) return;
    sites.q_norm = builder_.AddRmsNorm(prefix + ".q_norm", config_.head_dim);
    sites.k_norm = builder_.AddRmsNorm(prefix + ".k_norm", config_.head_dim);
  }

  void AddMlpModules(const std::string& prefix, LayerSites& sites) {
    const int64_t hidden = config_.hidden_size;
    const int64_t inner = config_.intermediate_size;
    const bool bias = config_.mlp_bias;
    builder_.AddModule(prefix);
    sites.gate = builder_.AddLinear(prefix + ".gate_proj", hidden, inner, bias);
    sites.up = builder_.AddLinear(prefix + ".up_proj", hidden, inner, bias);
    sites.down = builder_.AddLinear(prefix + ".down_proj", inner, hidden, bias);
    builder_.AddModule(prefix + ".act_fn");
  }

  // In the order in which transformers' decoder layer declares them: norms
  // last.
  void AddLayerModules(int layer) {
    const std::string prefix = builder_.InBare(absl::StrCat("layers.", layer));
    LayerSites sites;
    builder_.SetLayer(layer);
    builder_.AddModule(prefix);
    AddAttentionModules(prefix + ".self_attn", sites);
    AddMlpModules(prefix + ".mlp", sites);
    sites.input_norm =
        builder_.AddRmsNorm(prefix + ".input_layernorm", config_.hidden_size);
    sites.post_norm = builder_.AddRmsNorm(prefix + ".post_attention_layernorm",
                                          config_.hidden_size);
    layers_.push_back(sites);
  }

  void AddModules() {
    embedding_ = builder_.AddEmbedding(builder_.InBare("embed_tokens"),
                                       config_.vocab_size, config_.hidden_size);
    builder_.AddModule(builder_.InBare("layers"));
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      AddLayerModules(layer);
    }
    builder_.SetLayer(-1);
    final_norm_ =
        builder_.AddRmsNorm(builder_.InBare("norm"), config_.hidden_size);
    builder_.AddModule(builder_.InBare("rotary_emb"));
    AddHeadModules();
  }

  void AddHeadModules() {
    if (config_.task == ModelTask::kCausalLm) {
      head_ = builder_.AddLmHead(embedding_);
    } else if (config_.task == ModelTask::kSequenceClassification) {
      head_ = builder_.AddClassifier("score", false);
      builder_.description().pooling = Pooling::kLastNonPadding;
    } else if (config_.task == ModelTask::kTokenClassification) {
      builder_.AddModule("dropout");
      head_ = builder_.AddClassifier("score", true);
    }
  }

  void AddRopeOp(int buffer) {
    builder_.AddOp(OpKind::kRope, buffer, buffer).attention.head_dim =
        config_.head_dim;
  }

  void AddNormOp(int site, int input, int output) {
    builder_.AddRmsNormOp(site, config_.rms_norm_eps, input, output);
  }

  // hidden += o_proj(attention(...)). The output of o_proj lies in the buffer
  // of the normed input, which nobody reads any more.
  void AddAttentionOps(const LayerSites& sites, int64_t window) {
    AddNormOp(sites.input_norm, hidden_, normed_);
    builder_.AddLinearOp(sites.q, normed_, queries_);
    builder_.AddLinearOp(sites.k, normed_, keys_);
    builder_.AddLinearOp(sites.v, normed_, values_);
    if (config_.qk_norm) {
      AddNormOp(sites.q_norm, queries_, queries_);
      AddNormOp(sites.k_norm, keys_, keys_);
    }
    AddRopeOp(queries_);
    AddRopeOp(keys_);
    builder_.AddAttentionOp(queries_, keys_, values_, attended_)
        .attention.sliding_window = window;
    builder_.AddLinearOp(sites.o, attended_, normed_);
    builder_.AddOp(OpKind::kAdd, normed_, hidden_);
  }

  // hidden += down_proj(act(gate_proj) * up_proj), in the same way.
  void AddMlpOps(const LayerSites& sites) {
    AddNormOp(sites.post_norm, hidden_, normed_);
    builder_.AddLinearOp(sites.gate, normed_, gate_);
    builder_.AddLinearOp(sites.up, normed_, up_);
    Op& activation = builder_.AddOp(OpKind::kGatedActivation, gate_, gate_);
    activation.input2 = up_;
    activation.activation = config_.hidden_act;
    builder_.AddLinearOp(sites.down, gate_, normed_);
    builder_.AddOp(OpKind::kAdd, normed_, hidden_);
  }

  void AddOps() {
    builder_.AddEmbedOp(embedding_, TokenSource::kIds, hidden_);
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      builder_.SetLayer(layer);
      AddAttentionOps(layers_[layer], config_.sliding_windows[layer]);
      AddMlpOps(layers_[layer]);
    }
    builder_.SetLayer(-1);
    builder_.BeginHead(hidden_);
    AddNormOp(final_norm_, hidden_, normed_);
    builder_.BeginLogits(normed_);
    if (head_ < 0) return;
    builder_.AddLinearOp(head_, normed_, builder_.description().logits_buffer);
  }

  const DecoderConfig& config_;
  DescriptionBuilder builder_;
  std::vector<LayerSites> layers_;
  int hidden_, normed_, queries_, keys_, values_, attended_, gate_, up_;
  int embedding_, final_norm_;
  int head_ = -1;
};

}  // namespace

Description DescribeDecoder(const DecoderConfig& config) {
  return DecoderBuilder(config).Take();
}

}  // namespace peft
