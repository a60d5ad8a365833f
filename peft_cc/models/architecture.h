// transformers' model classes, and which of them a folder holds.
#ifndef PEFT_CC_MODELS_ARCHITECTURE_H_
#define PEFT_CC_MODELS_ARCHITECTURE_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Whether the weight files hold a tensor, which they may name with or without
// the bare model's prefix.
using HasWeight = absl::FunctionRef<bool(const std::string& name)>;

// Reads `architectures`, whose first class that runs here decides, into
// `config`, whose model_type is set. Without any, as saving a config alone
// leaves it, `architecture` stays empty. UNIMPLEMENTED (MODEL_UNSUPPORTED)
// where none of them runs.
absl::Status ReadArchitecture(ConfigFields& fields, absl::string_view what,
                              ModelConfig& config);

// Decides by the weight files where the config names no class with a head: a
// head whose weights are there is used. Without one the model is a bare one,
// but for an unnamed causal one whose head is tied to its embedding.
void SettleArchitecture(HasWeight has_weight, ModelConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ARCHITECTURE_H_
