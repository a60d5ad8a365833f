// The names that adapter_config.json uses for methods and tasks.
// Source: peft 0.21.2, enums PeftType and TaskType.
#ifndef PEFT_CC_CONFIG_PEFT_TYPES_H_
#define PEFT_CC_CONFIG_PEFT_TYPES_H_

#include "absl/strings/string_view.h"

namespace peft {

// The newest PEFT whose configs are known, "0.21.2".
extern const char kNewestPeftVersion[];

// True for the 45 values of peft_type, such as "LORA". Case matters.
bool IsPeftType(absl::string_view name);

// `name` as a text that lives as long as the process; "" for no peft_type.
const char* PeftTypeText(absl::string_view name);

// True for the 6 values of task_type, such as "CAUSAL_LM".
bool IsTaskType(absl::string_view name);

// True if `version` ("0.22.0.dev0@abc") is newer than kNewestPeftVersion. A
// text that is no version is not newer.
bool IsNewerThanKnown(absl::string_view version);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PEFT_TYPES_H_
