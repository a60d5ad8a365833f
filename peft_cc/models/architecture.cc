#include "peft_cc/models/architecture.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/config_parts.h"

namespace peft {
namespace {

constexpr size_t kMaxArchitectures = 16;

struct Architecture {
  const char* model_type;
  const char* name;
  ModelTask task;
};

constexpr Architecture kArchitectures[] = {
    {"llama", "LlamaForCausalLM", ModelTask::kCausalLm},
    {"llama", "LlamaModel", ModelTask::kBase},
    {"llama", "LlamaForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"llama", "LlamaForTokenClassification", ModelTask::kTokenClassification},
    {"mistral", "MistralForCausalLM", ModelTask::kCausalLm},
    {"mistral", "MistralModel", ModelTask::kBase},
    {"mistral", "MistralForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"mistral", "MistralForTokenClassification",
     ModelTask::kTokenClassification},
    {"qwen2", "Qwen2ForCausalLM", ModelTask::kCausalLm},
    {"qwen2", "Qwen2Model", ModelTask::kBase},
    {"qwen2", "Qwen2ForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"qwen2", "Qwen2ForTokenClassification", ModelTask::kTokenClassification},
    {"qwen3", "Qwen3ForCausalLM", ModelTask::kCausalLm},
    {"qwen3", "Qwen3Model", ModelTask::kBase},
    {"qwen3", "Qwen3ForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"qwen3", "Qwen3ForTokenClassification", ModelTask::kTokenClassification},
    {"gpt2", "GPT2LMHeadModel", ModelTask::kCausalLm},
    {"gpt2", "GPT2Model", ModelTask::kBase},
    {"gpt2", "GPT2ForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"gpt2", "GPT2ForTokenClassification", ModelTask::kTokenClassification},
    {"gpt2", "GPT2ForQuestionAnswering", ModelTask::kQuestionAnswering},
    {"bert", "BertForMaskedLM", ModelTask::kMaskedLm},
    {"bert", "BertModel", ModelTask::kBase},
    {"bert", "BertForSequenceClassification",
     ModelTask::kSequenceClassification},
    {"bert", "BertForTokenClassification", ModelTask::kTokenClassification},
    {"bert", "BertForQuestionAnswering", ModelTask::kQuestionAnswering},
};

constexpr struct {
  ModelTask task;
  absl::string_view name;
} kTaskNames[] = {
    {ModelTask::kBase, "base"},
    {ModelTask::kCausalLm, "causal-lm"},
    {ModelTask::kMaskedLm, "masked-lm"},
    {ModelTask::kSequenceClassification, "sequence-classification"},
    {ModelTask::kTokenClassification, "token-classification"},
    {ModelTask::kQuestionAnswering, "question-answering"},
};

std::vector<const Architecture*> ArchitecturesOf(absl::string_view model_type) {
  std::vector<const Architecture*> found;
  for (const Architecture& architecture : kArchitectures) {
    if (model_type == architecture.model_type) found.push_back(&architecture);
  }
  return found;
}

// What shows that the files hold the head of a task.
struct HeadWeight {
  ModelTask task;
  std::vector<std::string> all;  // of these tensors
};

// By family, the first that holds counts. The two heads that are called
// "classifier" differ in what they read: BERT pools a sequence.
std::vector<HeadWeight> HeadWeightsOf(absl::string_view model_type) {
  if (model_type == "bert") {
    return {{ModelTask::kMaskedLm, {"cls.predictions.transform.dense.weight"}},
            {ModelTask::kQuestionAnswering, {"qa_outputs.weight"}},
            {ModelTask::kSequenceClassification,
             {"classifier.weight", "bert.pooler.dense.weight"}},
            {ModelTask::kTokenClassification, {"classifier.weight"}}};
  }
  if (model_type == "gpt2") {
    return {{ModelTask::kCausalLm, {"lm_head.weight"}},
            {ModelTask::kQuestionAnswering, {"qa_outputs.weight"}},
            {ModelTask::kTokenClassification, {"classifier.weight"}},
            {ModelTask::kSequenceClassification, {"score.weight"}}};
  }
  return {{ModelTask::kCausalLm, {"lm_head.weight"}},
          {ModelTask::kTokenClassification, {"score.weight", "score.bias"}},
          {ModelTask::kSequenceClassification, {"score.weight"}}};
}

ModelTask TaskOfWeights(absl::string_view model_type, HasWeight has_weight) {
  for (const HeadWeight& head : HeadWeightsOf(model_type)) {
    if (std::all_of(head.all.begin(), head.all.end(), has_weight)) {
      return head.task;
    }
  }
  return ModelTask::kBase;
}

std::string Listed(
    const std::vector<const Architecture*>& architectures,
    absl::FunctionRef<absl::string_view(const Architecture&)> text_of) {
  return absl::StrJoin(architectures, ", ",
                       [&](std::string* out, const Architecture* each) {
                         absl::StrAppend(out, text_of(*each));
                       });
}

}  // namespace

absl::string_view TaskName(ModelTask task) {
  for (const auto& each : kTaskNames) {
    if (each.task == task) return each.name;
  }
  return "";
}

absl::Status ChooseArchitecture(ModelTask task, ModelConfig& config) {
  const auto known = ArchitecturesOf(config.model_type);
  for (const Architecture* architecture : known) {
    if (architecture->task != task) continue;
    config.architecture = architecture->name;
    config.task = task;
    config.is_task_chosen = true;
    return absl::OkStatus();
  }
  return UnsupportedModel(absl::StrCat("a model of type ", config.model_type),
                          "task", TaskName(task),
                          Listed(known, [](const Architecture& each) {
                            return TaskName(each.task);
                          }));
}

absl::Status ReadArchitecture(ConfigFields& fields, absl::string_view what,
                              ModelConfig& config) {
  const std::vector<std::string> names =
      fields.TextList("architectures", kMaxArchitectures);
  PEFT_RETURN_IF_ERROR(fields.status());
  const auto known = ArchitecturesOf(config.model_type);
  for (const std::string& name : names) {
    for (const Architecture* architecture : known) {
      if (name != architecture->name) continue;
      config.architecture = name;
      config.task = architecture->task;
      return absl::OkStatus();
    }
  }
  if (names.empty()) return absl::OkStatus();
  return UnsupportedModel(what, "architecture", names[0],
                          Listed(known, [](const Architecture& each) {
                            return absl::string_view(each.name);
                          }));
}

void SettleArchitecture(HasWeight has_weight, ModelConfig& config) {
  if (config.is_task_chosen) return;
  const bool is_named = !config.architecture.empty();
  if (is_named && config.task != ModelTask::kBase) return;
  ModelTask task = TaskOfWeights(config.model_type, has_weight);
  if (task == ModelTask::kBase && !is_named && config.is_causal &&
      config.tie_word_embeddings) {
    task = ModelTask::kCausalLm;
  }
  for (const Architecture* architecture : ArchitecturesOf(config.model_type)) {
    if (architecture->task != task) continue;
    config.architecture = architecture->name;
    config.task = task;
  }
}

}  // namespace peft
