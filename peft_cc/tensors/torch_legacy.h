// Reader of what torch.save wrote before 1.6: five pickles in a row, then the
// storages. Format: torch/serialization.py, _legacy_save.
#ifndef PEFT_CC_TENSORS_TORCH_LEGACY_H_
#define PEFT_CC_TENSORS_TORCH_LEGACY_H_

#include "absl/status/statusor.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// The state dict in `file`. Errors as ParseTorchFile's; messages do not name
// the file.
absl::StatusOr<TensorMap> ParseTorchLegacy(const Bytes& file);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TORCH_LEGACY_H_
