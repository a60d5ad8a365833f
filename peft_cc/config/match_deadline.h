// A bound on the time that a config's patterns may take.
#ifndef PEFT_CC_CONFIG_MATCH_DEADLINE_H_
#define PEFT_CC_CONFIG_MATCH_DEADLINE_H_

#include <chrono>

#include "absl/status/status.h"
#include "peft_cc/base/error.h"

namespace peft {

// Every single match is bounded; so is their sum over all modules and patterns,
// which a hostile config can multiply. Real ones take milliseconds.
class MatchDeadline {
 public:
  // RESOURCE_EXHAUSTED (REGEX) once 20 seconds have passed.
  absl::Status Check() const {
    if (Clock::now() < end_) return absl::OkStatus();
    return MakeError(absl::StatusCode::kResourceExhausted, error_id::kRegex,
                     "matching the config's patterns with the model's modules "
                     "takes too long; write them as plain names");
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point end_ = Clock::now() + std::chrono::seconds(20);
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_MATCH_DEADLINE_H_
