// The description of BERT.
#ifndef PEFT_CC_MODELS_BERT_DESCRIPTION_H_
#define PEFT_CC_MODELS_BERT_DESCRIPTION_H_

#include "peft_cc/models/bert_config.h"
#include "peft_cc/models/description.h"

namespace peft {

// The description of a model that ParseBertConfig reads.
Description DescribeBert(const BertConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_BERT_DESCRIPTION_H_
