// An adapter whose initialisation changed the base's weights, as a plain LoRA
// for the base as it was.
#ifndef PEFT_CC_ADAPTERS_CONVERT_INIT_H_
#define PEFT_CC_ADAPTERS_CONVERT_INIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What of an adapter is saved.
struct ConvertedAdapter {
  AdapterConfig config;
  TensorMap state_dict;
};

// `initial` is the folder of the adapter as it was before training: its factors
// are what was taken from the base. Each layer gets twice the rank, and the
// config says so: r and rank_pattern doubled, lora_alpha and alpha_pattern so
// that scales stay, init_lora_weights true. Source: peft 0.21.2,
// `save_pretrained(path_initial_model_for_weight_conversion=...)`, which leaves
// embeddings and layers of a capped rank without the rank that its config says;
// here zeros fill them up.
//
// INVALID_ARGUMENT (ARGUMENT) where the adapter is no LoRA, its init changed
// nothing (or is loftq, which changed the base otherwise), or a tensor of
// `initial` is missing or of another shape; as ReadAdapterTensors.
absl::StatusOr<ConvertedAdapter> ConvertInit(const Adapter& adapter,
                                             const std::string& initial);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_CONVERT_INIT_H_
