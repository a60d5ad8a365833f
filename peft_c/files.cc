#include "peft_c/files.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_c/struct_array.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace {

// The checks of one element, which is called `name`.
class FileReader {
 public:
  FileReader(const std::string& name, const peft_file_t& file)
      : name_(name), file_(file) {}

  absl::StatusOr<std::shared_ptr<const GivenFile>> Read() const {
    if (file_.size < 0) return Negative("size", file_.size);
    switch (file_.kind) {
      case PEFT_FILE_MEMORY:
        return InMemory();
      case PEFT_FILE_FD:
        return OfDescriptor();
      case PEFT_FILE_READ:
        if (file_.read == nullptr) return Bad("read", "is NULL");
        return FileOfFunction(file_.read, file_.user_data, size());
      default:
        return Bad("kind", absl::StrCat("is ", file_.kind,
                                        ", expected a PEFT_FILE_..."));
    }
  }

 private:
  absl::Status Bad(absl::string_view field, absl::string_view problem) const {
    return BadArgument(absl::StrCat(name_, ".", field), problem);
  }

  absl::Status Negative(absl::string_view field, int64_t value) const {
    return Bad(field, absl::StrCat("is ", value, ", expected 0 or more"));
  }

  uint64_t size() const { return static_cast<uint64_t>(file_.size); }

  absl::StatusOr<std::shared_ptr<const GivenFile>> InMemory() const {
    PEFT_ASSIGN_OR_RETURN(
        const bool copy,
        FlagArgument(absl::StrCat(name_, ".copy_data"), file_.copy_data));
    if (size() > 0 && file_.data == nullptr) return Bad("data", "is NULL");
    if (size() > std::numeric_limits<ptrdiff_t>::max()) {
      return Bad("size", absl::StrCat("is ", size(), ", too large"));
    }
    const auto* const data = static_cast<const uint8_t*>(file_.data);
    return FileInMemory(absl::MakeConstSpan(data, size()), copy);
  }

  absl::StatusOr<std::shared_ptr<const GivenFile>> OfDescriptor() const {
    if (file_.fd < 0) return Negative("fd", file_.fd);
    if (file_.offset < 0) return Negative("offset", file_.offset);
    if (file_.offset > std::numeric_limits<int64_t>::max() - file_.size) {
      return Bad("offset", absl::StrCat("is ", file_.offset, ", too large"));
    }
    return FileOfDescriptor(file_.fd, static_cast<uint64_t>(file_.offset),
                            size());
  }

  const std::string& name_;
  const peft_file_t& file_;
};

absl::Status AddFile(const std::string& argument, const peft_file_t* in,
                     GivenFiles& files) {
  peft_file_t known = PEFT_FILE_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct(argument, in, &known));
  const std::string name_field = absl::StrCat(argument, ".name");
  PEFT_ASSIGN_OR_RETURN(std::string name, TextArgument(name_field, known.name));
  const absl::Status inside = JoinInside("", name).status();
  if (!inside.ok()) return WithContext(inside, name_field);
  PEFT_ASSIGN_OR_RETURN(std::shared_ptr<const GivenFile> file,
                        FileReader(argument, known).Read());
  if (files.emplace(std::move(name), std::move(file)).second) {
    return absl::OkStatus();
  }
  return BadArgument(name_field, "is that of an element before it");
}

}  // namespace

absl::StatusOr<std::shared_ptr<const GivenFiles>> ReadFiles(
    absl::string_view argument, const peft_file_t* files, size_t num_files) {
  if (num_files == 0) return nullptr;
  auto result = std::make_shared<GivenFiles>();
  PEFT_RETURN_IF_ERROR(
      ForEachStruct(argument, files, num_files,
                    [&](const std::string& name, const peft_file_t* file) {
                      return AddFile(name, file, *result);
                    }));
  return std::shared_ptr<const GivenFiles>(std::move(result));
}

absl::StatusOr<Folder> FolderOfFiles(const peft_file_t* files,
                                     size_t num_files) {
  if (num_files == 0) return BadArgument("num_files", "is 0");
  PEFT_ASSIGN_OR_RETURN(std::shared_ptr<const GivenFiles> given,
                        ReadFiles("files", files, num_files));
  return Folder(std::move(given));
}

}  // namespace peft

void peft_file_init(peft_file_t* file, size_t struct_size) {
  static constexpr peft_file_t kDefaults = PEFT_FILE_INIT;
  peft::InitStruct(kDefaults, file, struct_size);
}
