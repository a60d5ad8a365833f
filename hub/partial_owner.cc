#include "hub/partial_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace hub {
namespace {

constexpr char kMagic[] = "peft-partial-1";
// A file that somebody else may be writing to, where neither locks nor process
// numbers can tell, is left alone for this long after the last write.
constexpr int64_t kQuietSeconds = 120;

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "?";
  return absl::StrCat(name, name[0] == '\0' ? "?" : "");
}

}  // namespace

bool IsLocked(const std::string& path) {
  const ScopedFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return fd.is_open() && flock(fd.get(), LOCK_EX | LOCK_NB) != 0 &&
         errno == EWOULDBLOCK;
}

std::string PartialHeaderLine(const std::string& etag, uint64_t size) {
  return absl::StrCat(kMagic, " ", etag, " ", size, " ", getpid(), " ",
                      HostName(), "\n");
}

bool ParsePartialHeader(absl::string_view record, PartialHeader* header) {
  const std::vector<std::string> words =
      absl::StrSplit(record.substr(0, record.find('\n')), ' ');
  if (words.size() != 5 || words[0] != kMagic ||
      !absl::SimpleAtoi(words[2], &header->size) ||
      !absl::SimpleAtoi(words[3], &header->pid) || header->pid <= 0) {
    return false;
  }
  header->etag = words[1];
  header->host = words[4];
  return true;
}

bool IsQuiet(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 &&
         info.st_mtime < std::time(nullptr) - kQuietSeconds;
}

bool IsAbandoned(const PartialHeader& header, const std::string& path, int fd) {
  if (header.host == HostName()) {
    // On one host our lock tells, where it keeps others out, also of an owner
    // that was killed and is still in the table of processes.
    if (IsLocked(path)) return true;
    const bool exists =
        kill(static_cast<pid_t>(header.pid), 0) == 0 || errno != ESRCH;
    if (!exists) return true;
  }
  return IsQuiet(fd);
}

bool IsNameOf(const std::string& path, int fd) {
  struct stat named;
  struct stat opened;
  return lstat(path.c_str(), &named) == 0 && fstat(fd, &opened) == 0 &&
         named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

}  // namespace hub
}  // namespace peft
