// Reader and writer of the safetensors format: 8 bytes little-endian header
// size, a JSON header, then the elements of all tensors without gaps.
#ifndef PEFT_CC_TENSORS_SAFETENSORS_H_
#define PEFT_CC_TENSORS_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/block_cache.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/safetensors_header.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What a file holds.
struct SafetensorsFile {
  TensorMap tensors;                            // views into the file's bytes
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// Reads a file, see ReadFile; what is read and not mapped into memory from
// `blocks` where it is not null. Tensors keep its bytes alive.
absl::StatusOr<SafetensorsFile> ReadSafetensors(
    const File& file, ReadMode mode,
    kernels::ThreadPool& pool = kernels::InlineThreadPool(),
    BlockCache* blocks = nullptr);

// What a file holds, by its header.
struct SafetensorsIndex {
  SafetensorsHeader header;
  uint64_t file_size = 0;
};

// Reads and checks the header alone, against the size of the file.
absl::StatusOr<SafetensorsIndex> ReadSafetensorsIndex(const File& file);

// Reads a file that is in memory. `what` names it in messages.
absl::StatusOr<SafetensorsFile> ParseSafetensors(const Bytes& bytes,
                                                 absl::string_view what);

// Whether a file can hold a tensor of this name: some text in UTF-8 that is not
// the reserved "__metadata__".
bool IsSafetensorsName(absl::string_view name);

// Writes atomically (temporary file, flush, rename), in the order and layout
// that the reference writer uses, so that equal content gives equal bytes.
absl::Status WriteSafetensors(
    const std::string& path, const TensorMap& tensors,
    const std::map<std::string, std::string>& metadata);

// The same for tensors that are made as they are written: of `layout` only the
// dtypes and shapes are looked at, and `tensor_of` is asked for each tensor
// once, in the order of the file. Where it fails, so does this, with its error.
absl::Status WriteSafetensorsPiecewise(
    const std::string& path, const TensorMap& layout,
    const std::map<std::string, std::string>& metadata,
    absl::FunctionRef<absl::StatusOr<Tensor>(const std::string& name)>
        tensor_of);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_SAFETENSORS_H_
