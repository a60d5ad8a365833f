#include "peft_cc/models/gpt2_config.h"

#include <string>

#include "peft_cc/base/error.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/config_parts.h"

namespace peft {
namespace {

// GPT2Config takes the general name of a size, too (its attribute_map).
absl::string_view KeyOf(const ConfigFields& fields, absl::string_view key,
                        absl::string_view general) {
  return !fields.Contains(key) && fields.Contains(general) ? general : key;
}

void ReadSizes(ConfigFields& fields, Gpt2Config& config) {
  config.vocab_size = fields.Int("vocab_size", 50257, 1, kMaxVocabulary);
  config.hidden_size =
      fields.Int(KeyOf(fields, "n_embd", "hidden_size"), 768, 1, kMaxWidth);
  config.num_hidden_layers = fields.Int(
      KeyOf(fields, "n_layer", "num_hidden_layers"), 12, 1, kMaxLayers);
  config.max_position_embeddings =
      fields.Int(KeyOf(fields, "n_positions", "max_position_embeddings"), 1024,
                 1, kMaxPositions);
  config.n_inner = fields.Has("n_inner")
                       ? fields.Int("n_inner", 0, 1, kMaxWidth)
                       : 4 * config.hidden_size;
  ReadPlainHeads(fields, KeyOf(fields, "n_head", "num_attention_heads"), 12,
                 config);
}

void ReadOptions(ConfigFields& fields, Gpt2Config& config) {
  config.activation_function =
      ReadActivation(fields, "activation_function", "gelu_new");
  config.layer_norm_epsilon =
      static_cast<float>(fields.Number("layer_norm_epsilon", 1e-5, 0, 1));
  config.scale_attn_weights = fields.Bool("scale_attn_weights", true);
  config.scale_attn_by_inverse_layer_idx =
      fields.Bool("scale_attn_by_inverse_layer_idx", false);
  fields.Bool("reorder_and_upcast_attn", false);
  config.tie_word_embeddings = fields.Bool("tie_word_embeddings", true);
  RefuseTrue(fields, {"add_cross_attention", "is_encoder_decoder"});
}

}  // namespace

absl::StatusOr<Gpt2Config> ParseGpt2Config(const Json& object,
                                           absl::string_view what) {
  ConfigFields fields(object, std::string(what));
  Gpt2Config config;
  config.model_type = "gpt2";
  config.positions = PositionKind::kTable;
  PEFT_RETURN_IF_ERROR(ReadArchitecture(fields, what, config));
  ReadSizes(fields, config);
  ReadOptions(fields, config);
  ReadTokens(fields, {50256}, config);
  config.pooling_pad_token_id = config.pad_token_id;
  ReadLabels(fields, config);
  PEFT_RETURN_IF_ERROR(fields.status());
  // Token types are embedded by the table of the tokens.
  config.num_token_types = config.vocab_size;
  return config;
}

}  // namespace peft
