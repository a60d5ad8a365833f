// The base's biases that an adapter trained (bias = "all" or "lora_only").
// PEFT trains them in place; here they are the adapter's own, as a difference
// from the base, so that disabling it gives the base back.
#ifndef PEFT_CC_ADAPTERS_TRAINED_BIASES_H_
#define PEFT_CC_ADAPTERS_TRAINED_BIASES_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/adapters/tensor_taker.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/forms.h"

namespace peft {

// Takes every bias that `mode` asks for and adds what it changes to the site's
// program, but not of a module that is replaced with its bias. Fails as
// TensorTaker::Take.
absl::Status TakeTrainedBiases(BiasMode mode, const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TRAINED_BIASES_H_
