// A base model whose weights were quantised when it was opened, as a folder.
#ifndef PEFT_CC_MODELS_QUANTIZED_MODEL_H_
#define PEFT_CC_MODELS_QUANTIZED_MODEL_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "peft_cc/models/base_model.h"

namespace peft {

// Writes `base` to the new folder `path`, in the layout of docs/quantized.md:
// what the model uses in one model.safetensors, config.json with a
// quantization_config, the other small files as they are. `on_progress`, which
// may be empty, is called after each tensor with the bytes that are written and
// those of all; false cancels. The folder appears whole or not at all. Fails as
// NewFolder does, with FAILED_PRECONDITION (MODEL_QUANTIZED) where weights are
// not in the SDK's own blocks, UNIMPLEMENTED (MODEL_UNSUPPORTED) for replicated
// layers, and CANCELLED (CANCELLED).
absl::Status WriteQuantizedModel(
    const BaseModel& base, const std::string& path,
    const std::function<bool(int64_t done, int64_t total)>& on_progress);

}  // namespace peft

#endif  // PEFT_CC_MODELS_QUANTIZED_MODEL_H_
