// Ends a transfer that goes on, but too slowly to be of use.
#ifndef HUB_SPEED_LIMIT_H_
#define HUB_SPEED_LIMIT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace peft {
namespace hub {

// Counts only the time spent waiting for the other side: a caller may take its
// time with what came.
class SpeedLimit {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // Expects `min_bytes_per_second` on average over each `window`; 0 for any.
  SpeedLimit(int64_t min_bytes_per_second, std::chrono::milliseconds window)
      : min_(min_bytes_per_second), window_(window) {}

  // `bytes` came after waiting for `waited`. DEADLINE_EXCEEDED (HUB_TIMEOUT) if
  // that was too little for a whole window.
  absl::Status Add(size_t bytes, Duration waited);

 private:
  const int64_t min_;
  const Duration window_;
  uint64_t bytes_ = 0;
  Duration waited_{0};
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_SPEED_LIMIT_H_
