#include "peft_cc/models/adapter_labels.h"

#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

absl::StatusOr<int64_t> LabelsOfAdapters(
    absl::Span<const std::string> adapter_folders) {
  for (const std::string& folder : adapter_folders) {
    PEFT_ASSIGN_OR_RETURN(const TensorMap tensors,
                          ReadAdapterTensors(Folder(folder), ReadMode::kMap));
    for (const auto& [name, tensor] : tensors) {
      if (IsOfClassifier(ParseTensorKey(name)) && tensor.rank() > 0 &&
          tensor.dim(0) > 0) {
        return tensor.dim(0);
      }
    }
  }
  return 0;
}

}  // namespace peft
