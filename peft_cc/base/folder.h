// A folder to be read: one of the file system, or files that a program has.
#ifndef PEFT_CC_BASE_FOLDER_H_
#define PEFT_CC_BASE_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/given_file.h"

namespace peft {

// A value. Thread-safe as far as the given files are.
class Folder {
 public:
  // A path is a folder.
  Folder(std::string path)  // NOLINT(google-explicit-constructor)
      : path_(std::move(path)) {}
  Folder(const char* path)  // NOLINT(google-explicit-constructor)
      : path_(path) {}
  explicit Folder(std::shared_ptr<const GivenFiles> files)
      : files_(std::move(files)) {}

  bool is_given() const { return files_ != nullptr; }
  // "" of given files.
  const std::string& path() const { return path_; }
  // For messages: the path, or "the program's files".
  std::string Description() const;

  // The file of that name, which is inside.
  File At(absl::string_view name) const;
  // The same for a name from outside; see JoinInside.
  absl::StatusOr<File> Inside(absl::string_view name) const;
  // What lies directly in it, in any order.
  absl::StatusOr<std::vector<std::string>> Names() const;

  // A folder that can be read at any time: itself, or copies of those of the
  // given files that are wanted and have at most `max_size` bytes.
  absl::StatusOr<Folder> Kept(absl::FunctionRef<bool(absl::string_view)> wanted,
                              uint64_t max_size) const;

 private:
  std::string path_;
  std::shared_ptr<const GivenFiles> files_;
};

}  // namespace peft

#endif  // PEFT_CC_BASE_FOLDER_H_
