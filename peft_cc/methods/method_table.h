// The methods that can run.
#ifndef PEFT_CC_METHODS_METHOD_TABLE_H_
#define PEFT_CC_METHODS_METHOD_TABLE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// One line of the table. Immutable.
struct MethodInfo {
  absl::string_view peft_type;  // as in configs, "LORA"
  absl::string_view title;      // as in messages, "LoRA"
  // What the names of its tensors begin with behind the module's, "lora_".
  absl::string_view prefix;
  absl::Span<const SiteKind> kinds;  // of the layers that it can adapt
  absl::string_view adapts;          // the same in words, for messages
  // The method for the targeted `layers` of an adapter with this config, whose
  // peft_type is this one's. `model_type` chooses defaults. Remarks are added
  // to `out_notes`.
  absl::StatusOr<std::unique_ptr<Method>> (*create)(
      const AdapterConfig& config, const std::string& model_type,
      std::vector<Layer> layers, std::vector<std::string>* out_notes);
};

// In the order that build info shows.
absl::Span<const MethodInfo> Methods();

// Null for a type that cannot run.
const MethodInfo* FindMethod(absl::string_view peft_type);

// Their types with `separator` between.
std::string MethodNames(absl::string_view separator);

}  // namespace peft

#endif  // PEFT_CC_METHODS_METHOD_TABLE_H_
