// transformers' model classes, and which of them a folder holds.
#ifndef PEFT_CC_MODELS_ARCHITECTURE_H_
#define PEFT_CC_MODELS_ARCHITECTURE_H_

#include <cstdint>
#include <optional>
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

// The head that a program asks for.
struct HeadChoice {
  std::optional<ModelTask> task;  // nullopt: what the folder says
  // Of a classifier; 0: what config.json says, else adapter_labels, else 2.
  int64_t num_labels = 0;
  int64_t adapter_labels = 0;  // of an adapter's own head; 0: not known
  // By which sequences are classified; nullopt: config.json's.
  std::optional<int64_t> pad_token_id;
};

// "sequence-classification" and the like.
absl::string_view TaskName(ModelTask task);

// Makes `config`, whose model_type is set, that of the family's class for
// `task`. UNIMPLEMENTED (MODEL_UNSUPPORTED) where the family has none.
absl::Status ChooseArchitecture(ModelTask task, ModelConfig& config);

// Reads `architectures`, whose first class that runs here decides, into
// `config`, whose model_type is set. Without any, as saving a config alone
// leaves it, `architecture` stays empty. UNIMPLEMENTED (MODEL_UNSUPPORTED)
// where none of them runs.
absl::Status ReadArchitecture(ConfigFields& fields, absl::string_view what,
                              ModelConfig& config);

// Decides by the weight files where the config names no class with a head: a
// head whose weights are there is used. Without one the model is a bare one,
// but for an unnamed causal one whose head is tied to its embedding. A task
// that the program has chosen stays.
void SettleArchitecture(HasWeight has_weight, ModelConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ARCHITECTURE_H_
