// Which lines of the log a program wants.

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/handle.h"
#include "peft_c/log.h"

peft_status_t* peft_set_log_level(int32_t level) {
  return peft::Guard([&]() -> absl::Status {
    if (level < PEFT_LOG_INFO || level > PEFT_LOG_NONE) {
      return peft::BadArgument(
          "level", absl::StrCat("is ", level, ", expected a PEFT_LOG_..."));
    }
    peft::SetLogLevel(level);
    return absl::OkStatus();
  });
}
