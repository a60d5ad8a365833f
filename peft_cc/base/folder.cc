#include "peft_cc/base/folder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/text_bytes.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// A copy of a given file, which lives as long as it.
class KeptFile : public GivenFile {
 public:
  explicit KeptFile(Bytes bytes)
      : GivenFile(bytes.data.size()), bytes_(std::move(bytes)) {}

  absl::StatusOr<Bytes> Read(const std::string&, ReadMode,
                             PieceRunner) const override {
    return bytes_;
  }

  absl::Status ReadStart(const std::string&,
                         absl::Span<uint8_t> out) const override {
    std::copy_n(bytes_.data.begin(), out.size(), out.begin());
    return absl::OkStatus();
  }

 private:
  const Bytes bytes_;
};

}  // namespace

std::string Folder::Description() const {
  return is_given() ? "the program's files" : Quoted(path_);
}

File Folder::At(absl::string_view name) const {
  if (!is_given()) return File(absl::StrCat(path_, "/", name));
  const auto found = files_->find(std::string(name));
  return File(std::string(name),
              found == files_->end() ? nullptr : found->second);
}

absl::StatusOr<File> Folder::Inside(absl::string_view name) const {
  PEFT_ASSIGN_OR_RETURN(std::string path, JoinInside(path_, name));
  if (is_given()) return At(name);
  return File(std::move(path));
}

absl::StatusOr<std::vector<std::string>> Folder::Names() const {
  if (!is_given()) return NamesIn(path_);
  std::vector<std::string> names;
  for (const auto& [name, file] : *files_) {
    if (name.find('/') == std::string::npos) names.push_back(name);
  }
  return names;
}

absl::StatusOr<Folder> Folder::Kept(
    absl::FunctionRef<bool(absl::string_view)> wanted,
    uint64_t max_size) const {
  if (!is_given()) return *this;
  auto kept = std::make_shared<GivenFiles>();
  for (const auto& [name, file] : *files_) {
    if (!wanted(name) || file->size() > max_size) continue;
    PEFT_ASSIGN_OR_RETURN(const std::string text,
                          ReadTextFile(File(name, file), max_size));
    auto buffer = std::make_shared<const std::string>(text);
    const absl::Span<const uint8_t> data = BytesOf(*buffer);
    kept->emplace(name,
                  std::make_shared<KeptFile>(Bytes{data, std::move(buffer)}));
  }
  return Folder(std::move(kept));
}

}  // namespace peft
