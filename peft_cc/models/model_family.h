// All families of base models: one config.json in, a model's config and its
// description out.
#ifndef PEFT_CC_MODELS_MODEL_FAMILY_H_
#define PEFT_CC_MODELS_MODEL_FAMILY_H_

#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/models/architecture.h"
#include "peft_cc/models/bert_config.h"
#include "peft_cc/models/decoder_config.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/gpt2_config.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// The config of one family.
using FamilyConfig = std::variant<DecoderConfig, Gpt2Config, BertConfig>;

// What all families have.
ModelConfig& CoreOf(FamilyConfig& config);

// The model types that ParseModelConfig takes: "llama, mistral, ...".
absl::string_view SupportedModelTypes();

// Parses the text of a config.json; `what` names it in messages. Fails with
// INVALID_ARGUMENT (JSON, MODEL_CONFIG) naming the key, or UNIMPLEMENTED
// (MODEL_UNSUPPORTED): another family, a quantization_config, or what the
// family's own reader refuses. With a task in `head` the model is that of this
// task, whatever class the text names; its failures are those of
// ChooseArchitecture.
absl::StatusOr<FamilyConfig> ParseModelConfig(absl::string_view text,
                                              absl::string_view what,
                                              const HeadChoice& head = {});

// Parses generation_config.json. Of it only the end and padding tokens are
// adopted, and they replace those of config.json even where the file has none,
// as in transformers. Its sampling defaults are not: options that a program
// does not give are those of GenerateOptions, whatever the model's folder says.
absl::Status ApplyGenerationConfig(absl::string_view text,
                                   absl::string_view what, ModelConfig& config);

// Describes the model, after its weight files have settled in `config` what the
// file left open: the class, and whether a BERT pools.
Description DescribeModel(HasWeight has_weight, FamilyConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_FAMILY_H_
