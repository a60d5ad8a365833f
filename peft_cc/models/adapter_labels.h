// How many labels adapters were trained for.
#ifndef PEFT_CC_MODELS_ADAPTER_LABELS_H_
#define PEFT_CC_MODELS_ADAPTER_LABELS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace peft {

// The labels of the head that the first of the adapters in these PEFT folders
// brings which brings one; 0: none does. Fails as ReadAdapterTensors.
absl::StatusOr<int64_t> LabelsOfAdapters(
    absl::Span<const std::string> adapter_folders);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ADAPTER_LABELS_H_
