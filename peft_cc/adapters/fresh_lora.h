// The initial tensors of the layers of a LORA adapter.
#ifndef PEFT_CC_ADAPTERS_FRESH_LORA_H_
#define PEFT_CC_ADAPTERS_FRESH_LORA_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/fresh_layers.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// As MakeFreshLayers.
absl::StatusOr<std::unique_ptr<FreshLayers>> MakeFreshLora(
    const AdapterConfig& config, const std::vector<Layer>& layers,
    const LowerServices& services);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_FRESH_LORA_H_
