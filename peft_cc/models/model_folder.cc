#include "peft_cc/models/model_folder.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/text_bytes.h"
#include "peft_cc/models/base_model.h"

namespace peft {
namespace {

constexpr char kConfigName[] = "config.json";
constexpr uint64_t kMaxConfigSize = 16u << 20;

absl::Status CopyFile(const File& from, const std::string& to) {
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(from, ReadMode::kRead,
                                                    BaseModel::kMaxSmallFile));
  return WriteFileAtomically(to, {bytes.data});
}

}  // namespace

absl::Status WriteModelText(const std::string& path, const std::string& text) {
  return WriteFileAtomically(path, {BytesOf(text)});
}

absl::Status CopyModelConfig(const Folder& from, const std::string& to) {
  return CopyFile(from.At(kConfigName), absl::StrCat(to, "/", kConfigName));
}

absl::StatusOr<Json> ReadModelConfig(const Folder& folder) {
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(folder.At(kConfigName), kMaxConfigSize));
  return ParseJson(text, kConfigName);
}

absl::Status WriteModelConfig(const std::string& folder, const Json& config) {
  return WriteModelText(absl::StrCat(folder, "/", kConfigName),
                        DumpJson(config));
}

void SetHead(const ModelConfig& config, Json& json) {
  Json names = Json::array();
  names.push_back(config.architecture);
  json["architectures"] = std::move(names);
  if (config.pooling_pad_token_id.has_value()) {
    json["pad_token_id"] = *config.pooling_pad_token_id;
  }
  if (!Classifies(config.task) &&
      config.task != ModelTask::kQuestionAnswering) {
    return;
  }
  const auto known = json.find("id2label");
  if (known != json.end() && known->is_object() &&
      static_cast<int64_t>(known->size()) == config.num_labels) {
    return;
  }
  json.erase("num_labels");
  Json texts = Json::object();
  Json numbers = Json::object();
  for (int64_t i = 0; i < config.num_labels; ++i) {
    const std::string label = absl::StrCat("LABEL_", i);
    texts[absl::StrCat(i)] = label;
    numbers[label] = i;
  }
  json["id2label"] = std::move(texts);
  json["label2id"] = std::move(numbers);
}

absl::Status CopyModelFiles(const Folder& from, const std::string& to) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> names, from.Names());
  for (const std::string& name : names) {
    const File file = from.At(name);
    if (name == kConfigName || !IsSmallFile(name) || !FileExists(file)) {
      continue;
    }
    PEFT_RETURN_IF_ERROR(CopyFile(file, absl::StrCat(to, "/", name)));
  }
  return absl::OkStatus();
}

}  // namespace peft
