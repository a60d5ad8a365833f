// Which operations of a description are run in one go.
#ifndef PEFT_CC_MODELS_OPS_TOGETHER_H_
#define PEFT_CC_MODELS_OPS_TOGETHER_H_

#include "absl/types/span.h"
#include "peft_cc/models/description.h"

namespace peft {

// How many operations from `first` on run together: consecutive linear layers
// of one input (queries, keys and values; gate and up), at most
// kernels::kMaxLinears; of any other kind 1.
int NumOpsTogether(absl::Span<const Op> ops, int first);

}  // namespace peft

#endif  // PEFT_CC_MODELS_OPS_TOGETHER_H_
