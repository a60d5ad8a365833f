// The loop of Session::Generate.
#ifndef PEFT_CC_MODELS_GENERATE_H_
#define PEFT_CC_MODELS_GENERATE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "peft_cc/models/session_core.h"
#include "peft_cc/models/session_options.h"

namespace peft {

// Session::Generate under `plan`. Resets `session` first.
absl::StatusOr<GenerateOutput> RunGenerate(SessionCore& session,
                                           const ForwardInput& input,
                                           const GenerateOptions& options,
                                           const BatchPlan& plans,
                                           GenerateOutput* out_partial);

}  // namespace peft

#endif  // PEFT_CC_MODELS_GENERATE_H_
