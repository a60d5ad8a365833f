#include "hub/cache_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "hub/retry.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPollMs = 50;
// Looking for activity reads a folder: not with each poll.
constexpr auto kLookEvery = std::chrono::milliseconds(500);

}  // namespace

absl::StatusOr<CacheLock> CacheLock::Acquire(
    const std::string& path, int64_t limit_ms,
    absl::FunctionRef<uint64_t()> activity, CancelCheck is_cancelled) {
  CacheLock lock;
  ScopedFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664));
  if (!fd.is_open()) return lock;
  Clock::time_point last_change = Clock::now();
  Clock::time_point last_look = last_change - kLookEvery;
  uint64_t last_activity = 0;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return lock;
    PEFT_RETURN_IF_ERROR(SleepFor(std::min(kPollMs, limit_ms), is_cancelled));
    const Clock::time_point now = Clock::now();
    if (now - last_look >= kLookEvery) {
      last_look = now;
      const uint64_t found = activity();
      if (found != last_activity) last_change = now;
      last_activity = found;
    }
    if (now - last_change >= std::chrono::milliseconds(limit_ms)) return lock;
  }
  lock.fd_ = std::move(fd);
  return lock;
}

}  // namespace hub
}  // namespace peft
