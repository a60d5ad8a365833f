// Base models whose folders hold quantised weights: what config.json says of
// them, and how a weight's tensors become one.
#ifndef PEFT_CC_MODELS_QUANTIZED_WEIGHTS_H_
#define PEFT_CC_MODELS_QUANTIZED_WEIGHTS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What `quant_method` and `version` of config.json say for the SDK's own
// blocks; see docs/quantized.md.
inline constexpr char kBlocksMethod[] = "peft_blocks";
inline constexpr int64_t kBlocksVersion = 3;

// Reads quantization_config. UNIMPLEMENTED (MODEL_UNSUPPORTED) for weights that
// the SDK cannot run: loading them as they are would give garbage without an
// error. INVALID_ARGUMENT (MODEL_CONFIG) where a field is wrong.
absl::StatusOr<StoredWeights> ReadStoredWeights(const Json& config,
                                                absl::string_view what);

// Replaces the tensors of each quantised weight by one tensor of codes under
// the weight's name; the codes stay where they are. Weights of which a row is
// no whole number of blocks are dequantised to f32. INVALID_ARGUMENT
// (MODEL_WEIGHTS) names the tensor that is missing or wrong.
absl::Status AssembleQuantizedWeights(StoredWeights stored, TensorMap& tensors);

}  // namespace peft

#endif  // PEFT_CC_MODELS_QUANTIZED_WEIGHTS_H_
