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

constexpr char kSafetensorsName[] = "adapter_model.safetensors";
constexpr char kTorchName[] = "adapter_model.bin";

// Anything of that name is not skipped, such as a folder, or a link to nothing:
// reading it gives the clearer error.
bool Exists(const File& file) {
  return file.is_given() ? FileExists(file) : NameExists(file.name());
}

absl::Status NoTensors(const Folder& folder) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kFileNotFound,
      absl::StrCat(folder.is_given() ? "" : "folder ", folder.Description(),
                   folder.is_given() ? " have" : " has",
                   " neither adapter_model.safetensors nor "
                   "adapter_model.bin; is it an adapter that PEFT saved?"),
      {folder.path(), "adapter_model.safetensors or adapter_model.bin", ""});
}

// <path>/<subfolder>.
absl::StatusOr<std::string> FindFolder(const std::string& path,
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

}  // namespace

absl::StatusOr<Folder> FindAdapterFolder(const Folder& folder,
                                         const std::string& subfolder) {
  if (folder.is_given()) return folder;
  PEFT_ASSIGN_OR_RETURN(std::string found,
                        FindFolder(folder.path(), subfolder));
  return Folder(std::move(found));
}

absl::StatusOr<AdapterTensorFile> FindAdapterTensors(const Folder& folder) {
  File safetensors = folder.At(kSafetensorsName);
  if (Exists(safetensors)) return AdapterTensorFile{safetensors, true};
  File torch = folder.At(kTorchName);
  if (Exists(torch)) return AdapterTensorFile{torch, false};
  return NoTensors(folder);
}

absl::StatusOr<TensorMap> ReadAdapterTensors(
    const Folder& folder, ReadMode mode, kernels::ThreadPool& pool,
    std::map<std::string, std::string>* metadata, BlockCache* blocks) {
  PEFT_ASSIGN_OR_RETURN(const AdapterTensorFile found,
                        FindAdapterTensors(folder));
  if (!found.is_safetensors) return ReadTorchFile(found.file, mode);
  PEFT_ASSIGN_OR_RETURN(SafetensorsFile read,
                        ReadSafetensors(found.file, mode, pool, blocks));
  if (metadata != nullptr) *metadata = std::move(read.metadata);
  return std::move(read.tensors);
}

}  // namespace peft
