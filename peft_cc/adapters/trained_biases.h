// The base's biases that an adapter trained (bias = "all" or "lora_only").
// PEFT trains them in place; here they are the adapter's own, as a difference
// from the base, so that disabling it gives the base back.
#ifndef PEFT_CC_ADAPTERS_TRAINED_BIASES_H_
#define PEFT_CC_ADAPTERS_TRAINED_BIASES_H_

#include <map>
#include <string>
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

// Adds the base's own biases under the names that TakeTrainedBiases looks for:
// those of an adapter that nobody has trained.
void AddBaseBiases(BiasMode mode, const SiteTable& sites,
                   const std::vector<TargetSite>& targets,
                   TensorMap& out_tensors);

// The head of a masked LM has its bias under a second name, that of the module
// around it: PEFT saves both and reads the head's last. That module, or "" for
// other sites.
std::string SecondBiasOwner(const Site& site);

// Takes the bias under its second name, where the file has it, without use;
// `bias` is the one that counts.
void SettleSecondBias(const Site& site, const Tensor& bias, TensorTaker& taker);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TRAINED_BIASES_H_
