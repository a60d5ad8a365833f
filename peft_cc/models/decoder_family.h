// What transformers 5.23 has in the code or in the config defaults of each
// family of decoders.
#ifndef PEFT_CC_MODELS_DECODER_FAMILY_H_
#define PEFT_CC_MODELS_DECODER_FAMILY_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace peft {

// Where a sliding window comes from.
enum class WindowRule {
  kNone,       // there is none
  kAllLayers,  // `sliding_window` holds for all layers (Mistral)
  // `use_sliding_window`, then `layer_types`, or layers from
  // `max_window_layers` on (Qwen).
  kByLayer,
};

// Defaults of absent keys, and which keys are read at all. Immutable.
struct DecoderFamily {
  const char* model_type = "";
  int64_t vocab_size = 32000;
  int64_t intermediate_size = 0;
  int64_t num_key_value_heads = 0;  // 0: as many as heads
  int64_t head_dim = 0;             // 0: hidden_size / heads
  int64_t max_position_embeddings = 0;
  bool heads_divide_hidden = false;  // checked by the config class
  bool reads_attention_bias = false;
  bool always_qkv_bias = false;
  bool reads_mlp_bias = false;
  bool qk_norm = false;
  WindowRule windows = WindowRule::kNone;
  std::vector<int64_t> eos_token_ids;
};

// All families.
absl::Span<const DecoderFamily> DecoderFamilies();

}  // namespace peft

#endif  // PEFT_CC_MODELS_DECODER_FAMILY_H_
