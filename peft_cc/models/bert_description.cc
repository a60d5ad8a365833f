#include "peft_cc/models/bert_description.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/models/description_builder.h"

namespace peft {
namespace {

class BertBuilder {
 public:
  explicit BertBuilder(const BertConfig& config)
      : config_(config), builder_(config, "bert") {
    AddBuffers();
    AddEmbeddingModules();
    AddEncoderModules();
    AddHeadModules();
    AddOps();
  }

  Description Take() { return builder_.Take(); }

 private:
  // Sites of one layer.
  struct LayerSites {
    int query, key, value;
    int attention_dense, attention_norm;
    int intermediate, output_dense, output_norm;
  };

  void AddBuffers() {
    const int64_t width = config_.hidden_size;
    hidden_ = builder_.AddBuffer("hidden", width);
    other_ = builder_.AddBuffer("other", width);
    queries_ = builder_.AddBuffer("queries", width);
    keys_ = builder_.AddBuffer("keys", width);
    values_ = builder_.AddBuffer("values", width);
    attended_ = builder_.AddBuffer("attended", width);
    inner_ = builder_.AddBuffer("inner", config_.intermediate_size);
  }

  void AddEmbeddingModules() {
    const std::string prefix = builder_.InBare("embeddings");
    const int64_t width = config_.hidden_size;
    builder_.AddModule(prefix);
    words_ = builder_.AddEmbedding(prefix + ".word_embeddings",
                                   config_.vocab_size, width);
    positions_ = builder_.AddEmbedding(prefix + ".position_embeddings",
                                       config_.max_position_embeddings, width);
    token_types_ = builder_.AddEmbedding(prefix + ".token_type_embeddings",
                                         config_.num_token_types, width);
    embedding_norm_ = builder_.AddLayerNorm(prefix + ".LayerNorm", width);
    builder_.AddModule(prefix + ".dropout");
  }

  void AddAttentionModules(const std::string& prefix, LayerSites& sites) {
    const int64_t width = config_.hidden_size;
    const std::string self = prefix + ".self";
    const std::string output = prefix + ".output";
    builder_.AddModule(prefix);
    builder_.AddModule(self);
    sites.query = builder_.AddLinear(self + ".query", width, width, true);
    sites.key = builder_.AddLinear(self + ".key", width, width, true);
    sites.value = builder_.AddLinear(self + ".value", width, width, true);
    builder_.AddModule(self + ".dropout");
    builder_.AddModule(output);
    sites.attention_dense =
        builder_.AddLinear(output + ".dense", width, width, true);
    sites.attention_norm = builder_.AddLayerNorm(output + ".LayerNorm", width);
    builder_.AddModule(output + ".dropout");
  }

  void AddLayerModules(int layer) {
    const std::string prefix =
        builder_.InBare(absl::StrCat("encoder.layer.", layer));
    const std::string intermediate = prefix + ".intermediate";
    const std::string output = prefix + ".output";
    const int64_t width = config_.hidden_size;
    const int64_t inner = config_.intermediate_size;
    LayerSites sites;
    builder_.SetLayer(layer);
    builder_.AddModule(prefix);
    AddAttentionModules(prefix + ".attention", sites);
    builder_.AddModule(intermediate);
    sites.intermediate =
        builder_.AddLinear(intermediate + ".dense", width, inner, true);
    builder_.AddModule(intermediate + ".intermediate_act_fn");
    builder_.AddModule(output);
    sites.output_dense =
        builder_.AddLinear(output + ".dense", inner, width, true);
    sites.output_norm = builder_.AddLayerNorm(output + ".LayerNorm", width);
    builder_.AddModule(output + ".dropout");
    layers_.push_back(sites);
  }

  void AddEncoderModules() {
    builder_.AddModule(builder_.InBare("encoder"));
    builder_.AddModule(builder_.InBare("encoder.layer"));
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      AddLayerModules(layer);
    }
    builder_.SetLayer(-1);
    if (!config_.has_pooler) return;
    const int64_t width = config_.hidden_size;
    builder_.AddModule(builder_.InBare("pooler"));
    pooler_ =
        builder_.AddLinear(builder_.InBare("pooler.dense"), width, width, true);
    builder_.AddModule(builder_.InBare("pooler.activation"));
    builder_.description().pooler_buffer = builder_.AddBuffer("pooled", width);
    builder_.description().pooling = Pooling::kFirst;
  }

  void AddHeadModules() {
    switch (config_.task) {
      case ModelTask::kMaskedLm:
        AddMaskedLmModules();
        break;
      case ModelTask::kSequenceClassification:
      case ModelTask::kTokenClassification:
        builder_.AddModule("dropout");
        head_ = builder_.AddClassifier("classifier", true);
        break;
      case ModelTask::kQuestionAnswering:
        head_ = builder_.AddSpanHead();
        break;
      case ModelTask::kBase:
      case ModelTask::kCausalLm:
        break;
    }
  }

  // The bias is the head's own; files may call it by the name of the module
  // that declares it.
  void AddMaskedLmModules() {
    const std::string prefix = "cls.predictions";
    const std::string transform = prefix + ".transform";
    const int64_t width = config_.hidden_size;
    Description& description = builder_.description();
    builder_.AddModule("cls");
    builder_.AddModule(prefix);
    builder_.AddModule(transform);
    transform_ = builder_.AddLinear(transform + ".dense", width, width, true);
    builder_.AddModule(transform + ".transform_act_fn");
    transform_norm_ = builder_.AddLayerNorm(transform + ".LayerNorm", width);
    head_ = builder_.AddLinear(prefix + ".decoder", width, config_.vocab_size,
                               true);
    SiteInfo& decoder = description.sites[head_];
    decoder.is_output_embedding = true;
    description.weights[decoder.bias].alias = prefix + ".bias";
    description.logits_buffer =
        builder_.AddBuffer("logits", config_.vocab_size);
    builder_.Tie(head_, words_);
  }

  void AddNormOp(int site, int input, int output) {
    builder_.AddLayerNormOp(site, config_.layer_norm_eps, input, output);
  }

  // hidden = LayerNorm(words + token types + positions).
  void AddEmbeddingOps() {
    builder_.AddEmbedOp(words_, TokenSource::kIds, hidden_);
    builder_.AddEmbedOp(token_types_, TokenSource::kTokenTypes, other_);
    builder_.AddOp(OpKind::kAdd, other_, hidden_);
    builder_.AddEmbedOp(positions_, TokenSource::kPositions, other_);
    builder_.AddOp(OpKind::kAdd, other_, hidden_);
    AddNormOp(embedding_norm_, hidden_, hidden_);
  }

  // hidden = LayerNorm(hidden + attention); the same with the MLP.
  void AddLayerOps(const LayerSites& sites) {
    builder_.AddLinearOp(sites.query, hidden_, queries_);
    builder_.AddLinearOp(sites.key, hidden_, keys_);
    builder_.AddLinearOp(sites.value, hidden_, values_);
    builder_.AddAttentionOp(queries_, keys_, values_, attended_);
    builder_.AddLinearOp(sites.attention_dense, attended_, other_);
    builder_.AddOp(OpKind::kAdd, other_, hidden_);
    AddNormOp(sites.attention_norm, hidden_, hidden_);
    builder_.AddLinearOp(sites.intermediate, hidden_, inner_);
    builder_.AddActivationOp(config_.hidden_act, inner_, inner_);
    builder_.AddLinearOp(sites.output_dense, inner_, other_);
    builder_.AddOp(OpKind::kAdd, other_, hidden_);
    AddNormOp(sites.output_norm, hidden_, hidden_);
  }

  void AddOps() {
    AddEmbeddingOps();
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      builder_.SetLayer(layer);
      AddLayerOps(layers_[layer]);
    }
    builder_.SetLayer(-1);
    builder_.BeginHead(hidden_);
    builder_.BeginLogits(hidden_);
    AddHeadOps();
  }

  void AddHeadOps() {
    const int pooled = builder_.description().pooler_buffer;
    int input = hidden_;
    if (pooled >= 0) {
      builder_.AddLinearOp(pooler_, hidden_, pooled);
      builder_.AddActivationOp(kernels::Activation::kTanh, pooled, pooled);
      input = pooled;
    } else if (config_.task == ModelTask::kMaskedLm) {
      builder_.AddLinearOp(transform_, hidden_, other_);
      builder_.AddActivationOp(config_.hidden_act, other_, other_);
      AddNormOp(transform_norm_, other_, other_);
      input = other_;
    }
    if (head_ < 0) return;
    builder_.AddLinearOp(head_, input, builder_.description().logits_buffer);
  }

  const BertConfig& config_;
  DescriptionBuilder builder_;
  std::vector<LayerSites> layers_;
  int hidden_, other_, queries_, keys_, values_, attended_, inner_;
  int words_, positions_, token_types_, embedding_norm_;
  int pooler_ = -1, transform_ = -1, transform_norm_ = -1, head_ = -1;
};

}  // namespace

Description DescribeBert(const BertConfig& config) {
  return BertBuilder(config).Take();
}

}  // namespace peft
