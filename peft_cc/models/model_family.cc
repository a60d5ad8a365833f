#include "peft_cc/models/model_family.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/bert_description.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/config_parts.h"
#include "peft_cc/models/decoder_description.h"
#include "peft_cc/models/decoder_family.h"
#include "peft_cc/models/gpt2_description.h"
#include "peft_cc/models/quantized_weights.h"

namespace peft {
namespace {

// transformers also guesses a family from the folder's name; here the file must
// say it.
absl::StatusOr<std::string> ReadModelType(const Json& object,
                                          absl::string_view what) {
  ConfigFields fields(object, std::string(what));
  if (!fields.Has("model_type")) {
    fields.Fail("model_type", absl::StrCat("one of ", SupportedModelTypes()));
  }
  std::string model_type = fields.Text("model_type", "");
  PEFT_RETURN_IF_ERROR(fields.status());
  return model_type;
}

absl::StatusOr<FamilyConfig> ParseFamily(const Json& object,
                                         const std::string& type,
                                         absl::string_view what) {
  if (IsDecoderModelType(type)) return ParseDecoderConfig(object, type, what);
  if (type == "gpt2") return ParseGpt2Config(object, what);
  if (type == "bert") return ParseBertConfig(object, what);
  return UnsupportedModel(what, "model_type", type, SupportedModelTypes());
}

bool SaysLabels(const Json& object, absl::string_view what) {
  const ConfigFields fields(object, std::string(what));
  return fields.Has("id2label") || fields.Has("num_labels");
}

// `object` is the file's, and `config` what was read of it.
absl::Status ChooseHead(const HeadChoice& head, const Json& object,
                        absl::string_view what, ModelConfig& config) {
  if (head.num_labels > 0) {
    config.num_labels = head.num_labels;
  } else if (head.adapter_labels > 0 && !SaysLabels(object, what)) {
    config.num_labels = head.adapter_labels;
  }
  if (head.pad_token_id.has_value()) {
    config.pooling_pad_token_id = head.pad_token_id;
  }
  if (!head.task.has_value()) return absl::OkStatus();
  ConfigFields fields(object, std::string(what));
  config.initializer_range = fields.Number("initializer_range", 0.02, 0, 1e6);
  PEFT_RETURN_IF_ERROR(fields.status());
  // An answer's start and end.
  if (*head.task == ModelTask::kQuestionAnswering) config.num_labels = 2;
  return ChooseArchitecture(*head.task, config);
}

Description Describe(const DecoderConfig& config) {
  return DescribeDecoder(config);
}
Description Describe(const Gpt2Config& config) { return DescribeGpt2(config); }
Description Describe(const BertConfig& config) { return DescribeBert(config); }

}  // namespace

ModelConfig& CoreOf(FamilyConfig& config) {
  return std::visit([](auto& family) -> ModelConfig& { return family; },
                    config);
}

absl::string_view SupportedModelTypes() {
  static const auto& types = *new std::string(absl::StrCat(
      absl::StrJoin(DecoderFamilies(), ", ",
                    [](std::string* out, const DecoderFamily& family) {
                      out->append(family.model_type);
                    }),
      ", gpt2, bert"));
  return types;
}

absl::StatusOr<FamilyConfig> ParseModelConfig(absl::string_view text,
                                              absl::string_view what,
                                              const HeadChoice& head) {
  PEFT_ASSIGN_OR_RETURN(Json object, ParseConfigObject(text, what));
  if (head.task.has_value()) object.erase("architectures");
  PEFT_ASSIGN_OR_RETURN(const std::string type, ReadModelType(object, what));
  PEFT_ASSIGN_OR_RETURN(const StoredWeights stored,
                        ReadStoredWeights(object, what));
  PEFT_ASSIGN_OR_RETURN(FamilyConfig config, ParseFamily(object, type, what));
  CoreOf(config).stored_weights = stored;
  PEFT_RETURN_IF_ERROR(ChooseHead(head, object, what, CoreOf(config)));
  const auto name = object.find("_name_or_path");
  if (name != object.end() && name->is_string()) {
    CoreOf(config).name_or_path = name->get<std::string>();
  }
  return config;
}

absl::Status ApplyGenerationConfig(absl::string_view text,
                                   absl::string_view what,
                                   ModelConfig& config) {
  PEFT_ASSIGN_OR_RETURN(const Json object, ParseConfigObject(text, what));
  ConfigFields fields(object, std::string(what));
  ModelConfig tokens;
  ReadTokens(fields, {}, tokens);
  PEFT_RETURN_IF_ERROR(fields.status());
  config.eos_token_ids = std::move(tokens.eos_token_ids);
  config.pad_token_id = tokens.pad_token_id;
  return absl::OkStatus();
}

Description DescribeModel(HasWeight has_weight, FamilyConfig& config) {
  SettleArchitecture(has_weight, CoreOf(config));
  if (auto* bert = std::get_if<BertConfig>(&config)) {
    bert->has_pooler = bert->task == ModelTask::kSequenceClassification ||
                       (bert->task == ModelTask::kBase &&
                        has_weight("bert.pooler.dense.weight"));
  }
  return std::visit([](const auto& family) { return Describe(family); },
                    config);
}

}  // namespace peft
