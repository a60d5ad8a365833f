// What writers of a model's folder share: all but the weights.
#ifndef PEFT_CC_MODELS_MODEL_FOLDER_H_
#define PEFT_CC_MODELS_MODEL_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Writes `text` to the new file `path`.
absl::Status WriteModelText(const std::string& path, const std::string& text);

// Copies config.json as it is.
absl::Status CopyModelConfig(const Folder& from, const std::string& to);
// config.json of a folder, to be changed.
absl::StatusOr<Json> ReadModelConfig(const Folder& folder);
absl::Status WriteModelConfig(const std::string& folder, const Json& config);

// Makes config.json `json` say the class that a program has chosen for
// `config`'s model, and its labels.
void SetHead(const ModelConfig& config, Json& json);

// Copies the files of folder `from` that belong to the model, but hold no
// weights and are not config.json: the tokenizer's, licences and so on.
absl::Status CopyModelFiles(const Folder& from, const std::string& to);

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_FOLDER_H_
