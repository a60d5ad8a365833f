#include "peft_cc/models/model_folder.h"

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
