#include "peft_cc/tensors/file_kind.h"

#include "absl/strings/match.h"

namespace peft {
namespace {

// Where a tar archive has its magic, which torch wrote before 0.1.10.
constexpr size_t kTarMagicOffset = 257;

absl::string_view AsText(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool StartsWithHtml(absl::string_view text) {
  return absl::StartsWithIgnoreCase(text, "<!doctype html") ||
         absl::StartsWithIgnoreCase(text, "<html");
}

}  // namespace

absl::string_view DescribeForeignFile(absl::Span<const uint8_t> file) {
  const absl::string_view text = AsText(file);
  if (text.empty()) return "; the file is empty";
  if (absl::StartsWith(text, "version https://git-lfs.github.com/")) {
    return "; it is a Git LFS pointer, not the file itself: run `git lfs pull`";
  }
  if (StartsWithHtml(text)) {
    return "; it is a web page: was it downloaded from the right address?";
  }
  if (IsZip(file)) return "; it is a zip archive: was it made by torch.save?";
  if (absl::StartsWith(text, "\x80\x02\x8a\x0a")) {
    return "; it was made by torch.save";
  }
  if (absl::StartsWith(text, "GGUF")) return "; it is a GGUF file";
  if (file.size() > 8 && text[8] == '{') return "; it may be safetensors";
  if (file.size() > kTarMagicOffset &&
      absl::StartsWith(text.substr(kTarMagicOffset), "ustar")) {
    return "; it is a tar archive: save it again with a newer torch";
  }
  return "";
}

bool IsZip(absl::Span<const uint8_t> file) {
  return absl::StartsWith(AsText(file), "PK\x03\x04");
}

}  // namespace peft
