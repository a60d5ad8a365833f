// The description of Llama-like decoders.
#ifndef PEFT_CC_MODELS_DECODER_DESCRIPTION_H_
#define PEFT_CC_MODELS_DECODER_DESCRIPTION_H_

#include "peft_cc/models/decoder_config.h"
#include "peft_cc/models/description.h"

namespace peft {

// The description of a decoder of any family that ParseDecoderConfig reads.
Description DescribeDecoder(const DecoderConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_DECODER_DESCRIPTION_H_
