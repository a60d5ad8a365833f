// Folders of what the Hub has.

#include "hub/fetch.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/load_options.h"
#include "peft_c/model.h"
#include "peft_c/text.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/model_source.h"

namespace peft {
namespace {

absl::Status FilesToFetch() {
  return BadArgument("options.files", "are given, and need not be fetched");
}

absl::StatusOr<std::string> AdapterFolder(const std::string& path,
                                          const LoadOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckNotReplacing(options));
  if (options.load.files != nullptr) return FilesToFetch();
  PEFT_ASSIGN_OR_RETURN(
      const hub::Source source,
      hub::FetchAdapter(path, options.load.subfolder, options.load.hub));
  PEFT_ASSIGN_OR_RETURN(
      const Folder folder,
      FindAdapterFolder(source.folder, options.load.subfolder));
  return folder.path();
}

absl::StatusOr<std::string> ModelFolder(const std::string& path,
                                        const ModelOptions& options) {
  if (options.files != nullptr) return FilesToFetch();
  PEFT_ASSIGN_OR_RETURN(const ModelSource source,
                        FindModelSource(path, options));
  const std::string& folder = source.folder.path();
  if (DirectoryExists(folder)) return folder;
  return MakeError(absl::StatusCode::kNotFound, error_id::kFileNotFound,
                   absl::StrCat("there is no model folder ", Quoted(folder)),
                   {folder, "a folder", ""});
}

peft_status_t* Fetched(absl::FunctionRef<absl::StatusOr<std::string>()> fetch,
                       peft_string_t** out_folder) {
  return Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(ClearOut("out_folder", out_folder));
    PEFT_ASSIGN_OR_RETURN(std::string folder, fetch());
    return NewHandle(std::make_shared<const std::string>(std::move(folder)),
                     out_folder);
  });
}

}  // namespace
}  // namespace peft

peft_status_t* peft_fetch_adapter(const char* path,
                                  const peft_load_options_t* options,
                                  peft_string_t** out_folder) {
  const auto fetch = [&]() -> absl::StatusOr<std::string> {
    PEFT_ASSIGN_OR_RETURN(const std::string id,
                          peft::TextArgument("path", path));
    PEFT_ASSIGN_OR_RETURN(const peft::LoadOptions known,
                          peft::ReadLoadOptions(options));
    return peft::AdapterFolder(id, known);
  };
  return peft::Fetched(fetch, out_folder);
}

peft_status_t* peft_fetch_model(const char* path,
                                const peft_model_options_t* options,
                                peft_string_t** out_folder) {
  const auto fetch = [&]() -> absl::StatusOr<std::string> {
    PEFT_ASSIGN_OR_RETURN(const peft::ModelOptions known,
                          peft::ModelOptionsOf(options));
    PEFT_ASSIGN_OR_RETURN(const std::string id, peft::ModelPath(path, known));
    return peft::ModelFolder(id, known);
  };
  return peft::Fetched(fetch, out_folder);
}
