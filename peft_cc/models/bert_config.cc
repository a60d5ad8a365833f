#include "peft_cc/models/bert_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/config_parts.h"

namespace peft {
namespace {

void ReadSizes(ConfigFields& fields, BertConfig& config) {
  config.vocab_size = fields.Int("vocab_size", 30522, 1, kMaxVocabulary);
  config.hidden_size = fields.Int("hidden_size", 768, 1, kMaxWidth);
  config.num_hidden_layers = fields.Int("num_hidden_layers", 12, 1, kMaxLayers);
  config.intermediate_size =
      fields.Int("intermediate_size", 3072, 1, kMaxWidth);
  config.max_position_embeddings =
      fields.Int("max_position_embeddings", 512, 1, kMaxPositions);
  config.num_token_types = fields.Int("type_vocab_size", 2, 1, kMaxVocabulary);
  ReadPlainHeads(fields, "num_attention_heads", 12, config);
}

// transformers 5 has no relative positions any more and would ignore the key.
void ReadOptions(ConfigFields& fields, BertConfig& config) {
  config.hidden_act = ReadActivation(fields, "hidden_act", "gelu");
  config.layer_norm_eps =
      static_cast<float>(fields.Number("layer_norm_eps", 1e-12, 0, 1));
  config.tie_word_embeddings = fields.Bool("tie_word_embeddings", true);
  RefuseTrue(fields,
             {"is_decoder", "add_cross_attention", "is_encoder_decoder"});
  if (fields.Has("position_embedding_type") &&
      fields.Text("position_embedding_type", "") != "absolute") {
    fields.FailUnsupported("position_embedding_type", "absolute");
  }
}

void ReadHead(ConfigFields& fields, BertConfig& config) {
  ReadLabels(fields, config);
  if (config.task == ModelTask::kQuestionAnswering && config.num_labels != 2) {
    fields.Fail(fields.Has("id2label") ? "id2label" : "num_labels",
                "2 labels for question answering: start and end");
  }
}

}  // namespace

absl::StatusOr<BertConfig> ParseBertConfig(const Json& object,
                                           absl::string_view what) {
  ConfigFields fields(object, std::string(what));
  BertConfig config;
  config.model_type = "bert";
  config.is_causal = false;
  config.positions = PositionKind::kTable;
  PEFT_RETURN_IF_ERROR(ReadArchitecture(fields, what, config));
  ReadSizes(fields, config);
  ReadOptions(fields, config);
  ReadTokens(fields, {}, config);
  ReadHead(fields, config);
  PEFT_RETURN_IF_ERROR(fields.status());
  return config;
}

}  // namespace peft
