#include "hub/wait.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {

using std::chrono::milliseconds;

constexpr milliseconds Wait::kSlice;

Wait::Wait(CancelCheck is_cancelled, int timeout_ms)
    : is_cancelled_(is_cancelled),
      timeout_ms_(timeout_ms),
      deadline_(Clock::now() + milliseconds(timeout_ms)) {}

void Wait::Begin(absl::string_view phase) {
  phase_ = phase;
  deadline_ = Clock::now() + milliseconds(timeout_ms_);
}

absl::Status Wait::Check() const {
  if (is_cancelled_()) {
    return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                     "it was cancelled");
  }
  if (Clock::now() < deadline_) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kDeadlineExceeded, error_id::kHubTimeout,
      absl::StrCat(phase_, " took longer than ", timeout_ms_ / 1000.0,
                   " s; try again later, or allow more time"));
}

milliseconds Wait::Slice() const {
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
  // Rounded up: poll(0) until the deadline would be a busy loop.
  return std::max(milliseconds(1), std::min(left, kSlice));
}

absl::Status Wait::ForFiles(absl::Span<pollfd> files,
                            Clock::time_point until) const {
  for (;;) {
    PEFT_RETURN_IF_ERROR(Check());
    const int slice = static_cast<int>(Slice().count());
    const int ready = poll(files.data(), files.size(), slice);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) {
      return MakeError(
          absl::StatusCode::kUnavailable, error_id::kHubConnect,
          absl::StrCat("cannot wait for the network: ", std::strerror(errno)));
    }
    if (Clock::now() >= until) return absl::OkStatus();
  }
}

}  // namespace hub
}  // namespace peft
