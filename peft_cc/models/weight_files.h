// The weight files of a base model's folder: model.safetensors, or the shards
// that model.safetensors.index.json names; else pytorch_model.bin, or the
// shards of its index, as older folders have them.
#ifndef PEFT_CC_MODELS_WEIGHT_FILES_H_
#define PEFT_CC_MODELS_WEIGHT_FILES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// All tensors of a folder.
struct WeightFiles {
  TensorMap tensors;  // under the names of the files
  // The file of each tensor, by the tensor's name; "model.safetensors" alone
  // where there are no shards. Of a pickled one the safetensors that would be
  // in its place.
  std::map<std::string, std::string> file_of;
  // Sentences about what was read otherwise than the index says.
  std::vector<std::string> notes;
};

// Reads all weight files of `folder`. As transformers, prefers safetensors, and
// the single file where both are. Pickled files are read, not executed. Fails
// with NOT_FOUND (FILE_NOT_FOUND) when there is none, INVALID_ARGUMENT
// (MODEL_WEIGHTS, PATH_ESCAPES, JSON) for a wrong index: a shard outside the
// folder or missing, a tensor that is not in the shard it is listed under; or
// as ReadSafetensors and ReadTorchFile do.
absl::StatusOr<WeightFiles> ReadWeightFiles(const Folder& folder,
                                            ReadMode mode);

}  // namespace peft

#endif  // PEFT_CC_MODELS_WEIGHT_FILES_H_
