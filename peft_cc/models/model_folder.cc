#include "peft_cc/models/model_folder.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace {

constexpr char kConfigName[] = "config.json";
// Configs and tokenizers: the largest are some 50 MB.
constexpr uint64_t kMaxSmallFile = uint64_t{1} << 30;
constexpr uint64_t kMaxConfigSize = 16u << 20;

bool IsCopied(absl::string_view name) {
  if (name == kConfigName || absl::EndsWith(name, ".index.json") ||
      absl::StartsWith(name, "adapter_")) {
    return false;
  }
  for (const char* suffix :
       {".json", ".txt", ".model", ".jinja", ".tiktoken", ".vocab", ".py"}) {
    if (absl::EndsWith(name, suffix)) return true;
  }
  return absl::StartsWith(name, "LICENSE") || absl::StartsWith(name, "NOTICE");
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  PEFT_ASSIGN_OR_RETURN(const Bytes bytes,
                        ReadFile(from, ReadMode::kRead, kMaxSmallFile));
  return WriteFileAtomically(to, {bytes.data});
}

}  // namespace

absl::Status WriteModelText(const std::string& path, const std::string& text) {
  const absl::Span<const uint8_t> chunk(
      reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return WriteFileAtomically(path, {chunk});
}

absl::Status CopyModelConfig(const std::string& from, const std::string& to) {
  return CopyFile(absl::StrCat(from, "/", kConfigName),
                  absl::StrCat(to, "/", kConfigName));
}

absl::StatusOr<Json> ReadModelConfig(const std::string& folder) {
  PEFT_ASSIGN_OR_RETURN(
      const std::string text,
      ReadTextFile(absl::StrCat(folder, "/", kConfigName), kMaxConfigSize));
  return ParseJson(text, kConfigName);
}

absl::Status WriteModelConfig(const std::string& folder, const Json& config) {
  return WriteModelText(absl::StrCat(folder, "/", kConfigName),
                        DumpJson(config));
}

absl::Status CopyModelFiles(const std::string& from, const std::string& to) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(from));
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(from, "/", name);
    if (!IsCopied(name) || !FileExists(path)) continue;
    PEFT_RETURN_IF_ERROR(CopyFile(path, absl::StrCat(to, "/", name)));
  }
  return absl::OkStatus();
}

}  // namespace peft
