// AdaLoRA: y = Wx + b + B((A * E) x) alpha / (init_r + 1e-5).
// Source: peft 0.21.2, tuners/adalora.
#ifndef PEFT_CC_METHODS_ADALORA_H_
#define PEFT_CC_METHODS_ADALORA_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// ADALORA for the table of methods. A layer has lora_A (k, in), lora_B (out, k)
// and lora_E (k, 1), where k, which may be 0, is what rank_pattern left of
// init_r; the scale is that of init_r whatever k is, and that of alpha = init_r
// for alpha <= 0. Without any rank a layer still has its LowRank, of 0, and so
// its place among the methods around it. A Conv2d's A is over its columns, (k,
// in * kernel); Tensors fails for other convolutions, or with groups, with
// INVALID_ARGUMENT (ADAPTER_CONFIG). Fails with INVALID_ARGUMENT
// (ADAPTER_CONFIG) where the scale is not a finite f32.
absl::StatusOr<std::unique_ptr<Method>> MakeAdaLora(
    const AdapterConfig& config, const std::string& model_type,
    std::vector<Layer> layers, std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_METHODS_ADALORA_H_
