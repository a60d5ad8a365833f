// config.json of a BERT, as transformers 5 writes it and as older versions did.
#ifndef PEFT_CC_MODELS_BERT_CONFIG_H_
#define PEFT_CC_MODELS_BERT_CONFIG_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/nn.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Fields of transformers' BertConfig.
struct BertConfig : ModelConfig {
  int64_t intermediate_size = 0;
  kernels::Activation hidden_act = kernels::Activation::kGelu;
  float layer_norm_eps = 0.0f;
  // Whether the model pools a sequence. Of a bare model the weight files say
  // so, else its task.
  bool has_pooler = false;
};

// Reads the config.json `object`; `what` names the file in messages. Fails with
// INVALID_ARGUMENT (MODEL_CONFIG) naming the key, or UNIMPLEMENTED
// (MODEL_UNSUPPORTED): a decoder, positions that are relative.
absl::StatusOr<BertConfig> ParseBertConfig(const Json& object,
                                           absl::string_view what);

}  // namespace peft

#endif  // PEFT_CC_MODELS_BERT_CONFIG_H_
