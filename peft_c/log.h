// The library's log: one line at a time to the program's callback.
#ifndef PEFT_C_LOG_H_
#define PEFT_C_LOG_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace peft {

// Lines below `level`, a PEFT_LOG_... value, are dropped from now on.
void SetLogLevel(int32_t level) noexcept;

// Hands `line` to the callback of peft_set_logger, or to stderr where none was
// set. `level` is a PEFT_LOG_... value. Lines logged by the callback itself are
// dropped. Thread-safe.
void LogLine(int32_t level, absl::string_view line) noexcept;

}  // namespace peft

#endif  // PEFT_C_LOG_H_
