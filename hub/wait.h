// How long an exchange waits: until the phase it is in has taken too long, or
// the caller loses interest.
#ifndef HUB_WAIT_H_
#define HUB_WAIT_H_

#include <poll.h>

#include <chrono>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// For one thread and one exchange.
class Wait {
 public:
  using Clock = std::chrono::steady_clock;

  // The longest that is_cancelled is not asked.
  static constexpr std::chrono::milliseconds kSlice{50};

  // `is_cancelled` must outlive this.
  Wait(CancelCheck is_cancelled, int timeout_ms);

  // The next phase begins, with all of its time. Errors name it: "connecting".
  // `phase` must be a literal.
  void Begin(absl::string_view phase);

  // CANCELLED (CANCELLED), or DEADLINE_EXCEEDED (HUB_TIMEOUT).
  absl::Status Check() const;

  // Waits until one of `files` is ready, or `until` is past; fails as Check.
  absl::Status ForFiles(
      absl::Span<pollfd> files,
      Clock::time_point until = Clock::time_point::max()) const;

  // The time until the next Check() is due, at most kSlice.
  std::chrono::milliseconds Slice() const;

  int timeout_ms() const { return timeout_ms_; }

 private:
  CancelCheck is_cancelled_;
  const int timeout_ms_;
  absl::string_view phase_ = "starting";
  Clock::time_point deadline_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_WAIT_H_
