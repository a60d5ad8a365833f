// Reader of torch.save files (`adapter_model.bin`): the zip format and the
// legacy stream. Pickle is interpreted over a small set of opcodes and
// globals that build a flat dict of tensors; anything else is refused by name
// and nothing is ever executed.
#ifndef PEFT_CC_TENSORS_TORCH_FILE_H_
#define PEFT_CC_TENSORS_TORCH_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Reads the state dict of a file. Contiguous tensors are views into the file's
// bytes, strided ones are copied.
absl::StatusOr<TensorMap> ReadTorchFile(const File& file, ReadMode mode);

// As above for a file in memory. `what` names it in messages.
absl::StatusOr<TensorMap> ParseTorchFile(const Bytes& bytes,
                                         absl::string_view what);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TORCH_FILE_H_
