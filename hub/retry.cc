#include "hub/retry.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

constexpr int64_t kStepMs = 50;

}  // namespace

absl::Status SleepFor(int64_t milliseconds, CancelCheck is_cancelled) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (Clock::now() < end) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                       "cancelled while waiting to try again");
    }
    const auto left = end - Clock::now();
    std::this_thread::sleep_for(
        std::min<Clock::duration>(left, std::chrono::milliseconds(kStepMs)));
  }
  return absl::OkStatus();
}

absl::Status Retries::Next(const Failure& failure, CancelCheck is_cancelled) {
  if (!failure.is_transient || count_ >= policy_.max_retries ||
      failure.wait_ms > policy_.max_asked_wait_ms) {
    return failure.status;
  }
  const int64_t wait = Wait(failure);
  ++count_;
  return policy_.sleep(wait, is_cancelled);
}

int64_t Retries::Wait(const Failure& failure) {
  int64_t wait = policy_.first_wait_ms;
  for (int i = 0; i < count_ && wait < policy_.max_wait_ms; ++i) wait *= 2;
  wait = std::min(wait, policy_.max_wait_ms);
  std::uniform_int_distribution<int64_t> part(wait / 2, wait);
  return std::max(part(random_), failure.wait_ms);
}

}  // namespace hub
}  // namespace peft
