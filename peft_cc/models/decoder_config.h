// config.json of a decoder-only base model: Llama (SmolLM too), Mistral, Qwen2
// and Qwen3, as transformers 5 writes it and as older versions did.
#ifndef PEFT_CC_MODELS_DECODER_CONFIG_H_
#define PEFT_CC_MODELS_DECODER_CONFIG_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/nn.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// A decoder whose layers are RMS norms, rotary attention and a gated MLP. What
// a family fixes in code is a field here.
struct DecoderConfig : ModelConfig {
  int64_t intermediate_size = 0;
  float rms_norm_eps = 0.0f;
  kernels::Activation hidden_act = kernels::Activation::kSilu;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMS norm of each head's query and key
  // One per layer: keys that a query sees, itself included; 0 = all.
  std::vector<int64_t> sliding_windows;
};

// Whether ParseDecoderConfig takes `model_type`.
bool IsDecoderModelType(absl::string_view model_type);

// Reads the config.json `object` of a decoder of `model_type`; `what` names the
// file in messages. Absent keys take the defaults that transformers 5.23 has
// for the family. Fails with INVALID_ARGUMENT (MODEL_CONFIG) naming the key, or
// UNIMPLEMENTED (MODEL_UNSUPPORTED): a class, an activation, rope type or any
// key known to change the numbers in a way that is not implemented. Other
// unknown keys are ignored, as transformers ignores them.
absl::StatusOr<DecoderConfig> ParseDecoderConfig(const Json& object,
                                                 absl::string_view model_type,
                                                 absl::string_view what);

}  // namespace peft

#endif  // PEFT_CC_MODELS_DECODER_CONFIG_H_
