// The writing half of file.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Linux writes at most 0x7ffff000 bytes per call.
constexpr size_t kMaxWriteChunk = 1u << 30;

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
      std::string path = TemporaryName(target_);
      if (path.empty()) break;
      fd_ = ScopedFd(
          open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (fd_.is_open()) {
        path_ = std::move(path);  // never out of memory, unlike a copy
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

}  // namespace

absl::Status WriteFileAtomically(
    const std::string& path,
    absl::Span<const absl::Span<const uint8_t>> chunks) {
  return WriteFileAtomically(path, [&](FileSink sink) -> absl::Status {
    for (absl::Span<const uint8_t> chunk : chunks) {
      PEFT_RETURN_IF_ERROR(sink(chunk));
    }
    return absl::OkStatus();
  });
}

absl::Status WriteFileAtomically(
    const std::string& path, absl::FunctionRef<absl::Status(FileSink)> write) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileWrite,
                     absl::StrCat("cannot write to path ", Quoted(path),
                                  ": it is empty or contains a NUL"),
                     {path, "", ""});
  }
  // Before the file has its name: what has failed must not have happened.
  const std::string folder = FolderOf(path);
  TemporaryFile file(path);
  PEFT_RETURN_IF_ERROR(file.Create());
  PEFT_RETURN_IF_ERROR(write(
      [&](absl::Span<const uint8_t> chunk) { return file.Append(chunk); }));
  PEFT_RETURN_IF_ERROR(file.Commit());
  FlushFolder(folder);
  return absl::OkStatus();
}

}  // namespace peft
