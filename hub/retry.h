// Trying again: how often, and how long to wait before.
#ifndef HUB_RETRY_H_
#define HUB_RETRY_H_

#include <cstdint>
#include <functional>
#include <random>

#include "absl/status/status.h"
#include "hub/http_error.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// Sleeps, and looks for a cancellation ten times a second. CANCELLED
// (CANCELLED) then.
absl::Status SleepFor(int64_t milliseconds, CancelCheck is_cancelled);

struct RetryPolicy {
  int max_retries = 5;
  // Doubled for each further retry. What is waited is a random part of it, at
  // least half.
  int64_t first_wait_ms = 1000;
  int64_t max_wait_ms = 8000;
  // A server that asks for more gets no further request.
  int64_t max_asked_wait_ms = 301000;
  // For tests, that do not wait.
  std::function<absl::Status(int64_t, CancelCheck)> sleep = SleepFor;
};

// The tries of one thing. Thread-compatible.
class Retries {
 public:
  // `policy` must outlive this.
  explicit Retries(const RetryPolicy& policy)
      : policy_(policy), random_(std::random_device()()) {}

  // After a try that failed: waits and returns OK for another one, else the
  // error to give up with.
  absl::Status Next(const Failure& failure, CancelCheck is_cancelled);

  // The last try got further than any before it: counts from zero again.
  void Reset() { count_ = 0; }

 private:
  int64_t Wait(const Failure& failure);

  const RetryPolicy& policy_;
  std::minstd_rand random_;
  int count_ = 0;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_RETRY_H_
