// Reads the rotary embedding's parameters from a base model's config.json.
#ifndef PEFT_CC_MODELS_ROPE_CONFIG_H_
#define PEFT_CC_MODELS_ROPE_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/rope.h"

namespace peft {

// Reads `rope_parameters` (transformers 5), or `rope_scaling` with `rope_theta`
// beside it (older; "type" or "rope_type"), which wins when a file has both, as
// in transformers. `config` is the whole file, `what` names it. Fails with
// INVALID_ARGUMENT (MODEL_CONFIG), or UNIMPLEMENTED (MODEL_UNSUPPORTED) for
// other types, partial rotary embedding and parameters per layer type.
absl::StatusOr<RopeConfig> ReadRopeConfig(const Json& config,
                                          const std::string& what,
                                          int64_t head_dim,
                                          int64_t max_position);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ROPE_CONFIG_H_
