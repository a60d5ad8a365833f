#include "peft_cc/models/decoder_config.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/config_parts.h"
#include "peft_cc/models/decoder_family.h"
#include "peft_cc/models/rope_config.h"

namespace peft {
namespace {

constexpr int64_t kMaxHeadDim = 65536;

// The family of the config's model_type, which its caller has read.
const DecoderFamily* FindFamily(absl::string_view model_type) {
  for (const DecoderFamily& family : DecoderFamilies()) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

// Keys of other families, or of derived ones that kept the model type, which
// change what the model computes. Their neutral values are allowed.
void RefuseOtherNumbers(ConfigFields& fields) {
  RefuseTrue(fields, {"use_mrope", "rope_interleaved", "is_encoder_decoder",
                      "add_cross_attention", "use_bidirectional_attention",
                      "use_qk_norm", "alibi", "parallel_attn"});
  for (const char* key :
       {"logits_scaling", "logit_scale", "residual_multiplier",
        "embedding_multiplier", "embedding_scale", "mup_scale"}) {
    if (fields.Has(key) && fields.Number(key, 1, -1e30, 1e30) != 1) {
      fields.FailUnsupported(key, "1");
    }
  }
  for (const char* key :
       {"per_layer_config", "attention_multiplier", "query_pre_attn_scalar",
        "final_logit_softcapping", "attn_logit_softcapping", "clip_qkv",
        "attention_chunk_size", "no_rope_layers", "kv_sharing_modes",
        "num_experts", "num_local_experts"}) {
    if (fields.Has(key)) fields.FailUnsupported(key, "null");
  }
  if (fields.Has("is_causal") && !fields.Bool("is_causal", true)) {
    fields.FailUnsupported("is_causal", "true");
  }
}

void ReadSizes(ConfigFields& fields, const DecoderFamily& family,
               DecoderConfig& config) {
  config.vocab_size =
      fields.Int("vocab_size", family.vocab_size, 1, kMaxVocabulary);
  config.hidden_size = fields.Int("hidden_size", 4096, 1, kMaxWidth);
  config.intermediate_size =
      fields.Int("intermediate_size", family.intermediate_size, 1, kMaxWidth);
  config.num_hidden_layers = fields.Int("num_hidden_layers", 32, 1, kMaxLayers);
  config.max_position_embeddings =
      fields.Int("max_position_embeddings", family.max_position_embeddings, 1,
                 kMaxPositions);
  config.rms_norm_eps =
      static_cast<float>(fields.Number("rms_norm_eps", 1e-6, 0, 1));
  config.hidden_act = ReadActivation(fields, "hidden_act", "silu");
}

// An absent number of key-value heads takes the family's default, a null one
// means as many as heads.
void ReadHeads(ConfigFields& fields, const DecoderFamily& family,
               DecoderConfig& config) {
  const int64_t heads = fields.Int("num_attention_heads", 32, 1, kMaxHeads);
  config.num_attention_heads = heads;
  const int64_t absent_kv_heads =
      fields.Contains("num_key_value_heads") || family.num_key_value_heads == 0
          ? heads
          : family.num_key_value_heads;
  config.num_key_value_heads =
      fields.Has("num_key_value_heads")
          ? fields.Int("num_key_value_heads", heads, 1, kMaxHeads)
          : absent_kv_heads;
  config.head_dim = fields.Has("head_dim")
                        ? fields.Int("head_dim", 0, 2, kMaxHeadDim)
                    : family.head_dim != 0 ? family.head_dim
                                           : config.hidden_size / heads;
  if (family.heads_divide_hidden && config.hidden_size % heads != 0) {
    fields.Fail(
        "num_attention_heads",
        absl::StrCat("a divisor of hidden_size (", config.hidden_size, ")"));
  }
  if (heads % config.num_key_value_heads != 0) {
    fields.Fail("num_key_value_heads",
                absl::StrCat("a divisor of num_attention_heads (", heads, ")"));
  }
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    fields.Fail(fields.Has("head_dim") ? "head_dim" : "num_attention_heads",
                "heads of an even width of at least 2");
  }
}

// A family that has no such key ignores it, whatever it says.
void ReadBiases(ConfigFields& fields, const DecoderFamily& family,
                DecoderConfig& config) {
  const bool attention_bias =
      family.reads_attention_bias && fields.Bool("attention_bias", false);
  config.qkv_bias = attention_bias || family.always_qkv_bias;
  config.o_bias = attention_bias;
  config.mlp_bias = family.reads_mlp_bias && fields.Bool("mlp_bias", false);
  config.qk_norm = family.qk_norm;
  config.tie_word_embeddings = fields.Bool("tie_word_embeddings", false);
}

// The window that sliding layers have; 0 when there is none.
int64_t ReadWindow(ConfigFields& fields, const DecoderFamily& family) {
  constexpr int64_t kDefault = 4096;
  if (family.windows == WindowRule::kNone) {
    if (fields.Has("sliding_window")) {
      fields.FailUnsupported("sliding_window", "null for this model_type");
    }
    return 0;
  }
  if (family.windows == WindowRule::kByLayer &&
      !fields.Bool("use_sliding_window", false)) {
    return 0;
  }
  if (fields.Contains("sliding_window") && !fields.Has("sliding_window")) {
    return 0;
  }
  return fields.Int("sliding_window", kDefault, 1, kMaxPositions);
}

// The windows that follow without `layer_types`.
std::vector<int64_t> DefaultWindows(ConfigFields& fields,
                                    const DecoderFamily& family, int64_t window,
                                    int64_t num_layers) {
  std::vector<int64_t> windows(num_layers, 0);
  int64_t first = 0;
  if (family.windows == WindowRule::kByLayer) {
    first = fields.Int("max_window_layers", 28, 0, kMaxPositions);
  }
  for (int64_t layer = first; layer < num_layers; ++layer) {
    windows[layer] = window;
  }
  return windows;
}

// One window per layer. `layer_types` decides where the family reads it; for
// the others it may only repeat what holds anyway.
void ReadWindows(ConfigFields& fields, const DecoderFamily& family,
                 DecoderConfig& config) {
  const int64_t num_layers = config.num_hidden_layers;
  const bool by_layer = family.windows == WindowRule::kByLayer;
  const int64_t window = ReadWindow(fields, family);
  config.sliding_windows = DefaultWindows(fields, family, window, num_layers);
  const std::vector<std::string> types =
      fields.TextList("layer_types", kMaxLayers);
  if (types.empty()) return;
  if (static_cast<int64_t>(types.size()) != num_layers) {
    fields.Fail("layer_types",
                absl::StrCat("one for each of the ", num_layers, " layers"));
    return;
  }
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    const bool sliding = types[layer] == "sliding_attention";
    const bool full =
        types[layer] == "full_attention" || types[layer] == "attention";
    const bool follows = sliding == (config.sliding_windows[layer] != 0);
    if ((!sliding && !full) || (!by_layer && !follows)) {
      fields.FailUnsupported("layer_types",
                             "full_attention and, where the model type has a "
                             "sliding window, sliding_attention");
    } else if (sliding && window == 0) {
      fields.Fail("layer_types", "a sliding_window for sliding_attention");
    }
    config.sliding_windows[layer] = sliding ? window : 0;
  }
}

}  // namespace

bool IsDecoderModelType(absl::string_view model_type) {
  return FindFamily(model_type) != nullptr;
}

absl::StatusOr<DecoderConfig> ParseDecoderConfig(const Json& object,
                                                 absl::string_view model_type,
                                                 absl::string_view what) {
  const DecoderFamily* family = FindFamily(model_type);
  ConfigFields fields(object, std::string(what));
  DecoderConfig config;
  config.model_type = family->model_type;
  PEFT_RETURN_IF_ERROR(ReadArchitecture(fields, what, config));
  RefuseOtherNumbers(fields);
  ReadSizes(fields, *family, config);
  ReadHeads(fields, *family, config);
  ReadBiases(fields, *family, config);
  PEFT_RETURN_IF_ERROR(fields.status());
  ReadWindows(fields, *family, config);
  ReadTokens(fields, family->eos_token_ids, config);
  config.pooling_pad_token_id = config.pad_token_id;
  ReadLabels(fields, config);
  PEFT_RETURN_IF_ERROR(fields.status());
  PEFT_ASSIGN_OR_RETURN(
      config.rope, ReadRopeConfig(object, std::string(what), config.head_dim,
                                  config.max_position_embeddings));
  return config;
}

}  // namespace peft
