// The locks of huggingface_hub's cache: flock on `.locks/<repository>/<etag>
// .lock`, shared with Python. They save work and nothing rests on them: some
// file systems grant them to everyone.
#ifndef HUB_CACHE_LOCK_H_
#define HUB_CACHE_LOCK_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "hub/transport.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace hub {

// Held until the end of its life, or not at all.
class CacheLock {
 public:
  // Waits for the lock on `path`, and no longer than `limit_ms` after the last
  // time that `activity`, the amount of work that its holder has done, has
  // changed. Where it cannot be had by then, or locks do not work there, the
  // result is not held. CANCELLED (CANCELLED) when asked to end.
  static absl::StatusOr<CacheLock> Acquire(
      const std::string& path, int64_t limit_ms,
      absl::FunctionRef<uint64_t()> activity, CancelCheck is_cancelled);

  bool is_held() const { return fd_.is_open(); }

 private:
  // Closing releases the lock; the file stays, as Python leaves it.
  ScopedFd fd_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_CACHE_LOCK_H_
