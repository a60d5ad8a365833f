#include "peft_cc/base/file_write_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status NotAFileError(const std::string& path, absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileWrite,
                   absl::StrCat("cannot write ", Quoted(path), ": it is ",
                                found, ", expected a regular file or nothing"),
                   {path, "a regular file, or nothing", std::string(found)});
}

}  // namespace

absl::string_view OtherKind(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  return "a device or socket";
}

absl::Status WriteError(const std::string& path, absl::string_view what,
                        int error) {
  const bool denied = error == EACCES || error == EPERM || error == EROFS;
  const bool missing = error == ENOENT || error == ENOTDIR;
  const absl::StatusCode code = denied    ? absl::StatusCode::kPermissionDenied
                                : missing ? absl::StatusCode::kNotFound
                                          : absl::StatusCode::kUnavailable;
  return MakeError(code, error_id::kFileWrite,
                   absl::StrCat("cannot write ", Quoted(path), ": ", what, ": ",
                                strerror(error)),
                   {path, "", ""});
}

absl::StatusOr<std::string> WriteTarget(const std::string& path) {
  struct stat info;
  // Where nothing can be looked at, the write itself says why.
  if (lstat(path.c_str(), &info) != 0) return path;
  const bool is_link = S_ISLNK(info.st_mode);
  if (is_link && stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return WriteError(path, "its link fails", errno);
    return NotAFileError(path, "a link that leads nowhere");
  }
  if (!S_ISREG(info.st_mode)) {
    return NotAFileError(path, OtherKind(info.st_mode));
  }
  if (!is_link) return path;
  char real[PATH_MAX];
  if (realpath(path.c_str(), real) != nullptr) return std::string(real);
  return WriteError(path, "its link fails", errno);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string TemporaryName(const std::string& path) {
  uint64_t random;
  if (getentropy(&random, sizeof(random)) != 0) return "";
  return absl::StrCat(FolderOf(path), "/.peft-",
                      absl::Hex(random, absl::kZeroPad16), ".tmp");
}

void FlushFolder(const std::string& folder) {
  const ScopedFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.is_open()) (void)fsync(fd.get());
}

}  // namespace peft
