#include "peft_cc/base/temporary_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/huge_pages.h"

namespace peft {
namespace {

// Linux writes at most 0x7ffff000 bytes per call.
constexpr size_t kMaxWriteChunk = 1u << 30;
// Where open files have the names that a link can be made of.
constexpr char kOpenFiles[] = "/proc/self/fd";

}  // namespace

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

bool TemporaryFile::CreateUnnamed() {
  if (access(kOpenFiles, X_OK) != 0) return false;
  fd_ = ScopedFd(
      open(FolderOf(target_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  return fd_.is_open();
}

absl::Status TemporaryFile::CreateNamed() {
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

absl::Status TemporaryFile::Create() {
  return CreateUnnamed() ? absl::OkStatus() : CreateNamed();
}

absl::Status TemporaryFile::Append(absl::Span<const uint8_t> bytes) {
  if (!pending_.empty()) {
    const auto more =
        bytes.first(std::min(bytes.size(), kHugePage - pending_.size()));
    pending_.insert(pending_.end(), more.begin(), more.end());
    if (pending_.size() < kHugePage) return absl::OkStatus();
    PEFT_RETURN_IF_ERROR(Write(pending_));
    pending_.clear();
    bytes.remove_prefix(more.size());
  }
  const size_t whole = bytes.size() / kHugePage * kHugePage;
  PEFT_RETURN_IF_ERROR(Write(bytes.first(whole)));
  pending_.assign(bytes.begin() + whole, bytes.end());
  return absl::OkStatus();
}

absl::Status TemporaryFile::Write(absl::Span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const size_t want = std::min(bytes.size(), kMaxWriteChunk);
    const ssize_t written = write(fd_.get(), bytes.data(), want);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(target_, "write failed", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

bool TemporaryFile::LinkTo(const std::string& path) const {
  const std::string open_file = absl::StrCat(kOpenFiles, "/", fd_.get());
  return linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, path.c_str(),
                AT_SYMLINK_FOLLOW) == 0;
}

bool TemporaryFile::NameBeside() {
  for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
    std::string path = TemporaryName(target_);
    if (path.empty()) return false;
    if (LinkTo(path)) {
      path_ = std::move(path);
      return true;
    }
    if (errno != EEXIST) return false;
  }
  return false;
}

absl::Status TemporaryFile::Commit() {
  PEFT_RETURN_IF_ERROR(Write(pending_));
  if (fsync(fd_.get()) != 0) return WriteError(target_, "flush failed", errno);
  const bool is_unnamed = path_.empty();
  const bool is_done = is_unnamed && LinkTo(target_);
  // A link replaces nothing; a rename does.
  if (is_unnamed && !is_done && (errno != EEXIST || !NameBeside())) {
    return WriteError(target_, "link failed", errno);
  }
  if (!fd_.Close()) return WriteError(target_, "close failed", errno);
  if (!is_done && rename(path_.c_str(), target_.c_str()) != 0) {
    return WriteError(target_, "rename failed", errno);
  }
  path_.clear();
  return absl::OkStatus();
}

}  // namespace peft
