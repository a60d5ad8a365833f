// A folder that appears whole or not at all.
#ifndef PEFT_CC_BASE_NEW_FOLDER_H_
#define PEFT_CC_BASE_NEW_FOLDER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// The names in `folder` but for "." and "..", in any order. NOT_FOUND
// (FILE_NOT_FOUND) where it cannot be read.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder);

// Written under a temporary name beside its final one. Removed with all files
// in it unless it is committed. Thread-compatible.
//
//   PEFT_ASSIGN_OR_RETURN(auto folder, NewFolder::Create("out/adapter"));
//   PEFT_RETURN_IF_ERROR(WriteSafetensors(folder->path() + "/a", ...));
//   return folder->Commit();
class NewFolder {
 public:
  // The folder that holds `target` must exist. Fails as WriteFileAtomically
  // does. A link at `target` is followed.
  static absl::StatusOr<std::unique_ptr<NewFolder>> Create(
      const std::string& target);

  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder();

  // Where to write its files, with WriteFileAtomically.
  const std::string& path() const { return path_; }

  // Gives the folder its name. ALREADY_EXISTS (FILE_EXISTS) when something is
  // there, with what to do about it; an empty folder is replaced.
  absl::Status Commit(absl::string_view cure = kElsewhere);

  // The same, in the place of the folder that is there, if one is: its files
  // `replaced` go, all else in it moves to the new folder. At any moment the
  // path has the old `replaced` or the new ones. ALREADY_EXISTS (FILE_EXISTS)
  // when the path, or one of `replaced` that is there, is of another kind.
  absl::Status CommitOver(absl::Span<const absl::string_view> replaced);

 private:
  static constexpr char kElsewhere[] = "choose another path";

  explicit NewFolder(std::string target) : target_(std::move(target)) {}

  absl::Status Exchange();

  std::string target_;
  std::string path_;  // empty when there is nothing to remove
};

}  // namespace peft

#endif  // PEFT_CC_BASE_NEW_FOLDER_H_
