// The files of a PEFT adapter folder.
#ifndef PEFT_CC_ADAPTERS_ADAPTER_FOLDER_H_
#define PEFT_CC_ADAPTERS_ADAPTER_FOLDER_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/block_cache.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// The folder `subfolder` ("" for none, as of given files) of `folder`.
// NOT_FOUND (FILE_NOT_FOUND) when it does not exist, INVALID_ARGUMENT when it
// is a file or `subfolder` leaves `folder` (PATH_ESCAPES).
absl::StatusOr<Folder> FindAdapterFolder(const Folder& folder,
                                         const std::string& subfolder);

// Where the tensors of `folder` are: adapter_model.safetensors, where there is
// none adapter_model.bin. NOT_FOUND (FILE_NOT_FOUND) names both.
struct AdapterTensorFile {
  File file;
  bool is_safetensors = false;
};
absl::StatusOr<AdapterTensorFile> FindAdapterTensors(const Folder& folder);

// Reads adapter_model.safetensors of `folder`, where there is none
// adapter_model.bin. By default into memory, so that truncating the file later
// harms nobody, from `blocks` where that is not null. NOT_FOUND
// (FILE_NOT_FOUND) names both. `metadata`, where it is not null, receives what
// the safetensors file says beside its tensors.
absl::StatusOr<TensorMap> ReadAdapterTensors(
    const Folder& folder, ReadMode mode = ReadMode::kRead,
    kernels::ThreadPool& pool = kernels::InlineThreadPool(),
    std::map<std::string, std::string>* metadata = nullptr,
    BlockCache* blocks = nullptr);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_ADAPTER_FOLDER_H_
