// Adapters that nobody has trained yet, as PEFT makes them.
#ifndef PEFT_CC_ADAPTERS_FRESH_H_
#define PEFT_CC_ADAPTERS_FRESH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// The tensors of a fresh adapter of `config` on the model with `sites`, under
// the names of get_adapter_state_dict: for BuildAdapter. Layers are initialised
// in module order with the numbers that torch.manual_seed(seed) gives PEFT.
// Factors are f32, rounded to the dtype of the base weight as PeftModel's are.
// Fails as a load does for the config and its targets, and with UNIMPLEMENTED
// (ADAPTER_METHOD_UNSUPPORTED, ADAPTER_FEATURE_UNSUPPORTED) where this version
// cannot initialise what the config asks for.
absl::StatusOr<TensorMap> FreshTensors(const SiteTable& sites,
                                       const AdapterConfig& config,
                                       uint64_t seed);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_FRESH_H_
