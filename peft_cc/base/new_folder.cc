#include "peft_cc/base/new_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

// Without memory of its own: it runs where there may be none.
void RemoveFilesIn(const std::string& folder) {
  const std::unique_ptr<DIR, CloseDir> dir(opendir(folder.c_str()));
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir.get())) {
    unlinkat(dirfd(dir.get()), entry->d_name, 0);
  }
}

// Without links and slashes at the end, where it exists.
std::string Resolved(const std::string& path) {
  char real[PATH_MAX];
  if (realpath(path.c_str(), real) != nullptr) return real;
  const size_t last = path.find_last_not_of('/');
  return path.substr(0, last == std::string::npos ? 1 : last + 1);
}

absl::Status ExistsError(const std::string& path, absl::string_view cure) {
  return MakeError(
      absl::StatusCode::kAlreadyExists, error_id::kFileExists,
      absl::StrCat(Quoted(path),
                   " exists already and is not an empty folder; ", cure),
      {path, "nothing, or an empty folder", ""});
}

absl::Status RenameError(const std::string& target, int error,
                         absl::string_view cure) {
  const bool exists = error == ENOTEMPTY || error == EEXIST || error == ENOTDIR;
  return exists ? ExistsError(target, cure)
                : WriteError(target, "rename failed", error);
}

// A folder in the place of a file is nobody's to remove: what is in it would be
// lost.
absl::Status CheckReplaced(const std::string& folder,
                           absl::Span<const absl::string_view> replaced) {
  for (const absl::string_view name : replaced) {
    const std::string path = absl::StrCat(folder, "/", name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    return MakeError(absl::StatusCode::kAlreadyExists, error_id::kFileExists,
                     absl::StrCat(Quoted(path),
                                  " is a folder, expected a file to replace; "
                                  "move it away, or choose another path"),
                     {path, "a file, or nothing", "a folder"});
  }
  return absl::OkStatus();
}

}  // namespace

// std::filesystem's iterators end the process where memory runs out.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  const std::unique_ptr<DIR, CloseDir> dir(opendir(folder.c_str()));
  if (dir == nullptr) {
    return MakeError(absl::StatusCode::kNotFound, error_id::kFileNotFound,
                     absl::StrCat("folder ", Quoted(folder),
                                  " cannot be read: ", strerror(errno)),
                     {folder, "a folder", ""});
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

absl::StatusOr<std::unique_ptr<NewFolder>> NewFolder::Create(
    const std::string& target) {
  if (target.empty() || target.find('\0') != std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileWrite,
                     absl::StrCat("cannot write to path ", Quoted(target),
                                  ": it is empty or contains a NUL"),
                     {target, "", ""});
  }
  std::unique_ptr<NewFolder> folder(new NewFolder(Resolved(target)));
  for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
    std::string path = TemporaryName(folder->target_);
    if (path.empty()) break;
    if (mkdir(path.c_str(), 0777) == 0) {
      folder->path_ = std::move(path);  // never out of memory, unlike a copy
      return folder;
    }
    if (errno != EEXIST) break;
  }
  return WriteError(folder->target_, "cannot create a folder beside it", errno);
}

NewFolder::~NewFolder() {
  if (path_.empty()) return;
  RemoveFilesIn(path_);
  rmdir(path_.c_str());
}

// All that takes memory comes before the rename: what has failed must not have
// happened.
absl::Status NewFolder::Commit(absl::string_view cure) {
  const std::string parent = FolderOf(target_);
  FlushFolder(path_);
  if (rename(path_.c_str(), target_.c_str()) != 0) {
    return RenameError(target_, errno, cure);
  }
  path_.clear();
  FlushFolder(parent);
  return absl::OkStatus();
}

// Afterwards path_ is the old folder. Where the file system cannot exchange two
// names at once, nothing has the name for a moment.
absl::Status NewFolder::Exchange() {
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(),
                RENAME_EXCHANGE) == 0) {
    return absl::OkStatus();
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return WriteError(target_, "exchange failed", errno);
  }
  std::string aside = TemporaryName(target_);
  if (aside.empty() || rename(target_.c_str(), aside.c_str()) != 0) {
    return WriteError(target_, "rename failed", errno);
  }
  if (rename(path_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    (void)rename(aside.c_str(), target_.c_str());
    return WriteError(target_, "rename failed", error);
  }
  path_ = std::move(aside);
  return absl::OkStatus();
}

absl::Status NewFolder::CommitOver(
    absl::Span<const absl::string_view> replaced) {
  struct stat info;
  if (lstat(target_.c_str(), &info) != 0) return Commit();
  if (!S_ISDIR(info.st_mode)) return ExistsError(target_, kElsewhere);
  PEFT_RETURN_IF_ERROR(CheckReplaced(target_, replaced));
  chmod(path_.c_str(), info.st_mode & 07777);
  const std::string parent = FolderOf(target_);
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(target_));
  FlushFolder(path_);
  PEFT_RETURN_IF_ERROR(Exchange());
  const ScopedFd from(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const ScopedFd to(open(target_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : names) {
    if (std::find(replaced.begin(), replaced.end(), name) != replaced.end() ||
        renameat(from.get(), name.c_str(), to.get(), name.c_str()) == 0) {
      continue;
    }
    // What is left of the old folder stays where it is: nothing is lost.
    const int error = errno;
    const std::string old = std::exchange(path_, std::string());
    return WriteError(absl::StrCat(old, "/", name),
                      "cannot move it to the new folder", error);
  }
  FlushFolder(target_);
  FlushFolder(parent);
  return absl::OkStatus();
}

}  // namespace peft
