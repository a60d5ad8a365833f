// Turns strided views into storages into contiguous tensors.
#ifndef PEFT_CC_TENSORS_TORCH_STORAGE_H_
#define PEFT_CC_TENSORS_TORCH_STORAGE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/tensor.h"
#include "peft_cc/tensors/torch_pickle.h"

namespace peft {

// The tensors of `dict`, whose storages have the bytes `storages` (one for
// each, of the right size) in `file`. Contiguous tensors are views that keep
// the file's bytes alive, the others are copies. Fails with INVALID_ARGUMENT
// (TORCH_FILE) where a tensor reaches outside its storage, and with
// RESOURCE_EXHAUSTED (TORCH_FILE) when copies would need more than 64 times the
// size of the file: repeated rows can ask for any size.
absl::StatusOr<TensorMap> MakeTensors(
    const TorchStateDict& dict,
    absl::Span<const absl::Span<const uint8_t>> storages, const Bytes& file);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TORCH_STORAGE_H_
