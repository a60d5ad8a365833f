// The writing half of file.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Linux writes at most 0x7ffff000 bytes per call.
constexpr size_t kMaxWriteChunk = 1u << 30;

// A random name that exists already is bad luck once, not ten times.
constexpr int kMaxNameAttempts = 10;

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

// A file that is removed again unless it got its final name.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : target_(target) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }

  // Creates a new file beside the target, with the permissions of the umask.
  absl::Status Create() {
    for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
      uint64_t random;
      if (getentropy(&random, sizeof(random)) != 0) break;
      const std::string path =
          absl::StrCat(FolderOf(target_), "/.peft-",
                       absl::Hex(random, absl::kZeroPad16), ".tmp");
      fd_ = ScopedFd(
          open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (fd_.is_open()) {
        path_ = path;
        return absl::OkStatus();
      }
      if (errno != EEXIST) break;
    }
    return WriteError(target_, "cannot create a file beside it", errno);
  }

  absl::Status Append(absl::Span<const uint8_t> chunk) {
    while (!chunk.empty()) {
      const size_t want = std::min(chunk.size(), kMaxWriteChunk);
      const ssize_t written = write(fd_.get(), chunk.data(), want);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return WriteError(target_, "write failed", errno);
      chunk.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  // Flushes to disk and gives the file its final name.
  absl::Status Commit() {
    if (fsync(fd_.get()) != 0) {
      return WriteError(target_, "flush failed", errno);
    }
    if (!fd_.Close()) return WriteError(target_, "close failed", errno);
    if (rename(path_.c_str(), target_.c_str()) != 0) {
      return WriteError(target_, "rename failed", errno);
    }
    path_.clear();
    return absl::OkStatus();
  }

 private:
  const std::string& target_;
  std::string path_;  // empty when there is nothing to remove
  ScopedFd fd_;
};

// Makes the new name itself survive a loss of power. Some file systems cannot
// do this for folders, and the file is whole either way: errors do not count.
void FlushFolder(const std::string& folder) {
  const ScopedFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.is_open()) (void)fsync(fd.get());
}

}  // namespace

absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> chunks) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileWrite,
                     absl::StrCat("cannot write to path ", Quoted(path),
                                  ": it is empty or contains a NUL"),
                     {path, "", ""});
  }
  TemporaryFile file(path);
  PEFT_RETURN_IF_ERROR(file.Create());
  for (absl::Span<const uint8_t> chunk : chunks) {
    PEFT_RETURN_IF_ERROR(file.Append(chunk));
  }
  PEFT_RETURN_IF_ERROR(file.Commit());
  FlushFolder(FolderOf(path));
  return absl::OkStatus();
}

}  // namespace peft
