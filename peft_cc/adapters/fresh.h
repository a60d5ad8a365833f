// Adapters that nobody has trained yet, as PEFT makes them.
#ifndef PEFT_CC_ADAPTERS_FRESH_H_
#define PEFT_CC_ADAPTERS_FRESH_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/method.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// How one is made.
struct FreshOptions {
  uint64_t seed = 0;      // of torch.manual_seed
  std::string base_name;  // for base_model_name_or_path; "" for none
  LowerServices services = {};
};

// What BuildAdapter takes.
struct FreshAdapter {
  AdapterConfig config;  // see FreshConfig
  TensorMap tensors;     // under the names of get_adapter_state_dict
};

// A fresh adapter of `config` on the model with `sites`. Layers are initialised
// in the order in which PEFT makes them, with the numbers that
// torch.manual_seed(seed) gives it; those that PEFT computes (orthogonal,
// pissa, olora, mica, the norms of DoRA) differ by rounding. What the method
// makes is f32, rounded to the dtype of the base weight as PeftModel's is, and
// so are rows of tokens; modules_to_save and biases keep the base's dtype.
// Fails as a load does for the config and its targets, and with
// INVALID_ARGUMENT (ADAPTER_CONFIG, ARGUMENT) for what PEFT refuses, or
// UNIMPLEMENTED (ADAPTER_METHOD_UNSUPPORTED, ADAPTER_FEATURE_UNSUPPORTED) where
// it cannot be made here.
absl::StatusOr<FreshAdapter> MakeFreshAdapter(const SiteTable& sites,
                                              const AdapterConfig& config,
                                              const FreshOptions& options);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_FRESH_H_
