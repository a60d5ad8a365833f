#include "peft_cc/adapters/adapter_folder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/torch_file.h"

namespace peft {
namespace {

constexpr char kSafetensorsName[] = "/adapter_model.safetensors";
constexpr char kTorchName[] = "/adapter_model.bin";

// A folder of that name is not skipped: reading it gives the clearer error.
bool Exists(const std::string& path) {
  return FileExists(path) || DirectoryExists(path);
}

absl::Status NoTensors(const std::string& folder) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kFileNotFound,
      absl::StrCat("folder ", Quoted(folder),
                   " has neither adapter_model.safetensors nor "
                   "adapter_model.bin; is it an adapter that PEFT saved?"),
      {folder, "adapter_model.safetensors or adapter_model.bin", ""});
}

}  // namespace

absl::StatusOr<std::string> FindAdapterFolder(const std::string& path,
                                              const std::string& subfolder) {
  std::string folder = path;
  if (!subfolder.empty()) {
    PEFT_ASSIGN_OR_RETURN(folder, JoinInside(path, subfolder));
  }
  if (DirectoryExists(folder)) return folder;
  if (FileExists(folder)) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kFileRead,
                     absl::StrCat(Quoted(folder),
                                  " is a file; expected the folder that "
                                  "holds adapter_config.json"),
                     {folder, "a folder", "a file"});
  }
  return MakeError(absl::StatusCode::kNotFound, error_id::kFileNotFound,
                   absl::StrCat("there is no adapter folder ", Quoted(folder)),
                   {folder, "a folder", ""});
}

absl::StatusOr<AdapterTensorFile> FindAdapterTensors(
    const std::string& folder) {
  const std::string safetensors = folder + kSafetensorsName;
  if (Exists(safetensors)) return AdapterTensorFile{safetensors, true};
  const std::string torch = folder + kTorchName;
  if (Exists(torch)) return AdapterTensorFile{torch, false};
  return NoTensors(folder);
}

absl::StatusOr<TensorMap> ReadAdapterTensors(
    const std::string& folder, ReadMode mode, kernels::ThreadPool& pool,
    std::map<std::string, std::string>* metadata) {
  PEFT_ASSIGN_OR_RETURN(const AdapterTensorFile file,
                        FindAdapterTensors(folder));
  if (!file.is_safetensors) return ReadTorchFile(file.path, mode);
  PEFT_ASSIGN_OR_RETURN(SafetensorsFile read,
                        ReadSafetensors(file.path, mode, pool));
  if (metadata != nullptr) *metadata = std::move(read.metadata);
  return std::move(read.tensors);
}

}  // namespace peft
