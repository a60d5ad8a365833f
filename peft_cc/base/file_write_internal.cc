#include "peft_cc/base/file_write_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {

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
