// The description of GPT-2.
#ifndef PEFT_CC_MODELS_GPT2_DESCRIPTION_H_
#define PEFT_CC_MODELS_GPT2_DESCRIPTION_H_

#include "peft_cc/models/description.h"
#include "peft_cc/models/gpt2_config.h"

namespace peft {

// The description of a model that ParseGpt2Config reads.
Description DescribeGpt2(const Gpt2Config& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_GPT2_DESCRIPTION_H_
