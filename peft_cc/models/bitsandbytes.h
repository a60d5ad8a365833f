// Weights as bitsandbytes stores them in 4 bits: NF4 and FP4.
#ifndef PEFT_CC_MODELS_BITSANDBYTES_H_
#define PEFT_CC_MODELS_BITSANDBYTES_H_

#include "absl/status/status.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Finds each weight "X" that comes with "X.quant_state.bitsandbytes__nf4" (or
// __fp4), "X.absmax", "X.quant_map" and, where the scales are quantised too,
// "X.nested_absmax" and "X.nested_quant_map", and puts one matrix of codes
// under "X" in their place. Its scales are dequantised, in f32 and in the order
// of bitsandbytes' own operations. Unlike there, products are not rounded to
// the dtype that the quant state names. INVALID_ARGUMENT (MODEL_WEIGHTS) names
// a tensor that is missing or wrong.
absl::Status AssembleBitsAndBytes(TensorMap& tensors);

}  // namespace peft

#endif  // PEFT_CC_MODELS_BITSANDBYTES_H_
