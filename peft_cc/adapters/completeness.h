// Whether an adapter's file has all that its config asks for, and no more.
#ifndef PEFT_CC_ADAPTERS_COMPLETENESS_H_
#define PEFT_CC_ADAPTERS_COMPLETENESS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/tensor_taker.h"

namespace peft {

// Call when all is taken. INVALID_ARGUMENT (TENSOR_MISSING,
// TENSOR_UNEXPECTED); with `lenient` these are lines of `report`. Even then
// ADAPTER_TENSORS when not one tensor of the file was used: such an adapter
// would seem to load and do nothing. `task_type` is the config's: a head that
// the model lacks is an error that says how to open the base.
absl::Status CheckCompleteness(const TensorTaker& taker,
                               absl::string_view task_type, bool lenient,
                               LoadReport& report);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_COMPLETENESS_H_
