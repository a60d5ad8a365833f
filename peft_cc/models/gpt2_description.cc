#include "peft_cc/models/gpt2_description.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/models/description_builder.h"

namespace peft {
namespace {

class Gpt2Builder {
 public:
  explicit Gpt2Builder(const Gpt2Config& config)
      : config_(config), builder_(config, "transformer") {
    AddBuffers();
    AddModules();
    AddOps();
  }

  Description Take() { return builder_.Take(); }

 private:
  // Sites of one block.
  struct LayerSites {
    int ln_1, c_attn, attn_c_proj;
    int ln_2, c_fc, mlp_c_proj;
  };

  // c_attn makes queries, keys and values side by side.
  void AddBuffers() {
    const int64_t width = config_.hidden_size;
    hidden_ = builder_.AddBuffer("hidden", width);
    normed_ = builder_.AddBuffer("normed", width);
    qkv_ = builder_.AddBuffer("qkv", 3 * width);
    queries_ = builder_.AddColumns("queries", qkv_, 0, width);
    keys_ = builder_.AddColumns("keys", qkv_, width, width);
    values_ = builder_.AddColumns("values", qkv_, 2 * width, width);
    attended_ = builder_.AddBuffer("attended", width);
    inner_ = builder_.AddBuffer("inner", config_.n_inner);
  }

  void AddLayerModules(int layer) {
    const std::string prefix = builder_.InBare(absl::StrCat("h.", layer));
    const int64_t width = config_.hidden_size;
    LayerSites sites;
    builder_.SetLayer(layer);
    builder_.AddModule(prefix);
    sites.ln_1 = builder_.AddLayerNorm(prefix + ".ln_1", width);
    builder_.AddModule(prefix + ".attn");
    sites.c_attn =
        builder_.AddConv1D(prefix + ".attn.c_attn", width, 3 * width);
    sites.attn_c_proj =
        builder_.AddConv1D(prefix + ".attn.c_proj", width, width);
    builder_.AddModule(prefix + ".attn.attn_dropout");
    builder_.AddModule(prefix + ".attn.resid_dropout");
    sites.ln_2 = builder_.AddLayerNorm(prefix + ".ln_2", width);
    builder_.AddModule(prefix + ".mlp");
    sites.c_fc =
        builder_.AddConv1D(prefix + ".mlp.c_fc", width, config_.n_inner);
    sites.mlp_c_proj =
        builder_.AddConv1D(prefix + ".mlp.c_proj", config_.n_inner, width);
    builder_.AddModule(prefix + ".mlp.act");
    builder_.AddModule(prefix + ".mlp.dropout");
    layers_.push_back(sites);
  }

  void AddModules() {
    const int64_t width = config_.hidden_size;
    wte_ = builder_.AddEmbedding(builder_.InBare("wte"), config_.vocab_size,
                                 width);
    wpe_ = builder_.AddEmbedding(builder_.InBare("wpe"),
                                 config_.max_position_embeddings, width);
    builder_.AddModule(builder_.InBare("drop"));
    builder_.AddModule(builder_.InBare("h"));
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      AddLayerModules(layer);
    }
    builder_.SetLayer(-1);
    ln_f_ = builder_.AddLayerNorm(builder_.InBare("ln_f"), width);
    AddHeadModules();
  }

  void AddHeadModules() {
    switch (config_.task) {
      case ModelTask::kCausalLm:
        head_ = builder_.AddLmHead(wte_);
        break;
      case ModelTask::kSequenceClassification:
        head_ = builder_.AddClassifier("score", false);
        builder_.description().pooling = Pooling::kLastNonPadding;
        break;
      case ModelTask::kTokenClassification:
        builder_.AddModule("dropout");
        head_ = builder_.AddClassifier("classifier", true);
        break;
      case ModelTask::kQuestionAnswering:
        head_ = builder_.AddSpanHead();
        break;
      case ModelTask::kBase:
      case ModelTask::kMaskedLm:
        break;
    }
  }

  // hidden = wte[ids] + wpe[positions] (+ wte[token types]).
  void AddEmbeddingOps() {
    builder_.AddEmbedOp(wte_, TokenSource::kIds, hidden_);
    builder_.AddEmbedOp(wpe_, TokenSource::kPositions, normed_);
    builder_.AddOp(OpKind::kAdd, normed_, hidden_);
    builder_.AddEmbedOp(wte_, TokenSource::kTokenTypes, normed_)
        .needs_token_types = true;
    builder_.AddOp(OpKind::kAdd, normed_, hidden_).needs_token_types = true;
  }

  void AddNormOp(int site) {
    builder_.AddLayerNormOp(site, config_.layer_norm_epsilon, hidden_, normed_);
  }

  // The scale stays with a layer that is there several times.
  float AttentionScale(int layer, float by_width) const {
    const std::vector<int64_t>& sources = config_.source_layers;
    const int64_t source = sources.empty() ? layer : sources[layer];
    const float scale = config_.scale_attn_weights ? by_width : 1.0f;
    return config_.scale_attn_by_inverse_layer_idx
               ? scale / static_cast<float>(source + 1)
               : scale;
  }

  // hidden += attn(ln_1(hidden)); hidden += mlp(ln_2(hidden)).
  void AddLayerOps(const LayerSites& sites, int layer) {
    AddNormOp(sites.ln_1);
    builder_.AddLinearOp(sites.c_attn, normed_, qkv_);
    Op& attention =
        builder_.AddAttentionOp(queries_, keys_, values_, attended_);
    attention.attention.scale =
        AttentionScale(layer, attention.attention.scale);
    builder_.AddLinearOp(sites.attn_c_proj, attended_, normed_);
    builder_.AddOp(OpKind::kAdd, normed_, hidden_);
    AddNormOp(sites.ln_2);
    builder_.AddLinearOp(sites.c_fc, normed_, inner_);
    builder_.AddActivationOp(config_.activation_function, inner_, inner_);
    builder_.AddLinearOp(sites.mlp_c_proj, inner_, normed_);
    builder_.AddOp(OpKind::kAdd, normed_, hidden_);
  }

  void AddOps() {
    AddEmbeddingOps();
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      builder_.SetLayer(layer);
      AddLayerOps(layers_[layer], layer);
    }
    builder_.SetLayer(-1);
    builder_.BeginHead(hidden_);
    AddNormOp(ln_f_);
    builder_.BeginLogits(normed_);
    if (head_ < 0) return;
    builder_.AddLinearOp(head_, normed_, builder_.description().logits_buffer);
  }

  const Gpt2Config& config_;
  DescriptionBuilder builder_;
  std::vector<LayerSites> layers_;
  int hidden_, normed_, qkv_, queries_, keys_, values_, attended_, inner_;
  int wte_, wpe_, ln_f_;
  int head_ = -1;
};

}  // namespace

Description DescribeGpt2(const Gpt2Config& config) {
  return Gpt2Builder(config).Take();
}

}  // namespace peft
