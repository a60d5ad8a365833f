#include "peft_c/handle.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_c/log.h"
#include "peft_cc/base/error.h"

namespace peft {

absl::Status BadHandle(absl::string_view argument, uintptr_t handle,
                       HandleKind expected) {
  const std::string reason = HandleTable::Global().Explain(handle, expected);
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kHandle,
                   absl::StrCat("argument ", argument, " ", reason),
                   {std::string(argument),
                    absl::StrCat("a live ", HandleKindName(expected)), reason});
}

void LogBadFree(absl::string_view function, uintptr_t handle,
                HandleKind expected) noexcept {
  try {
    LogLine(PEFT_LOG_WARNING,
            absl::StrCat(function, ": the argument ",
                         HandleTable::Global().Explain(handle, expected),
                         "; nothing was freed"));
  } catch (...) {
    LogLine(PEFT_LOG_WARNING, "a free of a bad handle; nothing was freed");
  }
}

}  // namespace peft
