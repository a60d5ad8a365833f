// config.json of a decoder-only base model: Llama (SmolLM too), Mistral, Qwen2
// and Qwen3, as transformers 5 writes it and as older versions did.
#ifndef PEFT_CC_MODELS_DECODER_CONFIG_H_
#define PEFT_CC_MODELS_DECODER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/nn.h"
#include "peft_cc/models/rope.h"

namespace peft {

// Every number is checked: positive where it must be, heads divide, and any
// product of two of the sizes fits an int64. Fields are named as in
// transformers' configs; what a family fixes in code is a field here.
struct DecoderConfig {
  std::string model_type;  // "llama", "mistral", "qwen2" or "qwen3"
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  float rms_norm_eps = 0.0f;
  kernels::Activation hidden_act = kernels::Activation::kSilu;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMS norm of each head's query and key
  bool tie_word_embeddings = false;
  // One per layer: keys that a query sees, itself included; 0 = all.
  std::vector<int64_t> sliding_windows;
  RopeConfig rope;
  // What generation_config.json overrides.
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> pad_token_id;
};

// The model types that ParseDecoderConfig takes: "llama, mistral, ...".
absl::string_view SupportedModelTypes();

// Parses the text of a config.json; `what` names it in messages. Absent keys
// take the defaults that transformers 5.23 has for the family. Fails with
// INVALID_ARGUMENT (JSON, MODEL_CONFIG) naming the key, or UNIMPLEMENTED
// (MODEL_UNSUPPORTED): another family, a quantization_config, an activation,
// rope type or any key known to change the numbers in a way that is not
// implemented. Other unknown keys are ignored, as transformers ignores them.
absl::StatusOr<DecoderConfig> ParseDecoderConfig(absl::string_view text,
                                                 absl::string_view what);

// Parses generation_config.json. Of it only the end and padding tokens are
// adopted, and they replace those of config.json even where the file has none,
// as in transformers. Its sampling defaults are not: options that a program
// does not give are those of GenerateOptions, whatever the model's folder says.
absl::Status ApplyGenerationConfig(absl::string_view text,
                                   absl::string_view what,
                                   DecoderConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_DECODER_CONFIG_H_
