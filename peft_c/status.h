// Statuses of the C ABI: what an absl::Status or an exception becomes.
#ifndef PEFT_C_STATUS_H_
#define PEFT_C_STATUS_H_

#include "absl/status/status.h"
#include "peft_c/peft_c.h"

namespace peft {

// A new status for `status`, to be freed by the caller; null when it is OK.
// When memory is out the answer is a static status that needs none.
peft_status_t* NewStatus(const absl::Status& status) noexcept;

// A new status for the exception that is being handled: call it in a handler.
// std::bad_alloc is RESOURCE_EXHAUSTED (OUT_OF_MEMORY), all else INTERNAL.
peft_status_t* NewStatusOfException() noexcept;

}  // namespace peft

#endif  // PEFT_C_STATUS_H_
