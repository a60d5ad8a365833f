// IA3: y = (Wx + b) * l, or on feedforward modules y = W(x * l) + b.
// Source: peft 0.21.2, tuners/ia3.
#ifndef PEFT_CC_METHODS_IA3_H_
#define PEFT_CC_METHODS_IA3_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// IA3 for the table of methods. A layer has ia3_l (out, 1), or on a feedforward
// module (1, in); a Conv2d or Conv3d has one of its channels, (1, channels, 1,
// 1) and so on. Its Tensors fail for a Conv1d with INVALID_ARGUMENT
// (ADAPTER_CONFIG). Fails with INVALID_ARGUMENT (ADAPTER_CONFIG) where
// feedforward_modules is null and there is no default, and (REGEX).
absl::StatusOr<std::unique_ptr<Method>> MakeIa3(
    const AdapterConfig& config, const std::string& model_type,
    std::vector<Layer> layers, std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_METHODS_IA3_H_
