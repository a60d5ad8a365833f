// config.json of a GPT-2, as transformers 5 writes it and as older versions
// did.
#ifndef PEFT_CC_MODELS_GPT2_CONFIG_H_
#define PEFT_CC_MODELS_GPT2_CONFIG_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/nn.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Fields of transformers' GPT2Config.
struct Gpt2Config : ModelConfig {
  int64_t n_inner = 0;
  kernels::Activation activation_function = kernels::Activation::kGeluTanh;
  float layer_norm_epsilon = 0.0f;
  bool scale_attn_weights = true;
  bool scale_attn_by_inverse_layer_idx = false;
};

// Reads the config.json `object`; `what` names the file in messages. Fails with
// INVALID_ARGUMENT (MODEL_CONFIG) naming the key, or UNIMPLEMENTED
// (MODEL_UNSUPPORTED). reorder_and_upcast_attn changes no number in f32.
absl::StatusOr<Gpt2Config> ParseGpt2Config(const Json& object,
                                           absl::string_view what);

}  // namespace peft

#endif  // PEFT_CC_MODELS_GPT2_CONFIG_H_
