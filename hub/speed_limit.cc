#include "hub/speed_limit.h"

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {

absl::Status SpeedLimit::Add(size_t bytes, Duration waited) {
  bytes_ += bytes;
  waited_ += waited;
  if (waited_ < window_) return absl::OkStatus();
  const double seconds = std::chrono::duration<double>(waited_).count();
  const double found = bytes_ / seconds;
  if (found < min_) {
    return MakeError(
        absl::StatusCode::kDeadlineExceeded, error_id::kHubTimeout,
        absl::StrCat("it came too slowly: ", static_cast<int64_t>(found),
                     " bytes a second over ", static_cast<int64_t>(seconds),
                     " s, expected at least ", min_, "; try again later"));
  }
  bytes_ = 0;
  waited_ = Duration(0);
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft
