// What an adapter folder holds, as JSON.

#include "peft_cc/adapters/inspect.h"

#include <memory>
#include <string>

#include "hub/fetch.h"
#include "peft_c/arguments.h"
#include "peft_c/files.h"
#include "peft_c/model.h"
#include "peft_c/text.h"
#include "peft_cc/adapters/inspect_json.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace {

// With `model` not null also how the adapter fits it.
Json Describe(const AdapterSummary& summary, const Model* model) {
  if (model == nullptr) return SummaryToJson(summary);
  const AdapterFit fit = InspectAgainst(summary, model->sites());
  return SummaryToJson(summary, &fit);
}

absl::StatusOr<std::string> Inspect(const Folder& folder,
                                    const std::string& subfolder,
                                    const peft_model_t* model) {
  std::shared_ptr<Model> object;
  if (model != nullptr) {
    PEFT_ASSIGN_OR_RETURN(object, Lookup("model", model));
  }
  PEFT_ASSIGN_OR_RETURN(const AdapterSummary summary,
                        InspectAdapter(folder, subfolder));
  return DumpJson(Describe(summary, object.get()));
}

absl::StatusOr<std::string> InspectPath(const char* path, const char* subfolder,
                                        const peft_model_t* model) {
  PEFT_ASSIGN_OR_RETURN(const std::string folder, TextArgument("path", path));
  PEFT_ASSIGN_OR_RETURN(const std::string below,
                        OptionalText("subfolder", subfolder, ""));
  PEFT_ASSIGN_OR_RETURN(const hub::Source source,
                        hub::FetchAdapter(folder, below, {}));
  return Inspect(source.folder, below, model);
}

absl::Status ReturnText(absl::StatusOr<std::string> json,
                        peft_string_t** out_json) {
  if (!json.ok()) return json.status();
  return NewHandle(std::make_shared<const std::string>(*std::move(json)),
                   out_json);
}

}  // namespace
}  // namespace peft

peft_status_t* peft_inspect_adapter(const char* path, const char* subfolder,
                                    const peft_model_t* model,
                                    peft_string_t** out_json) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_json", out_json));
    return peft::ReturnText(peft::InspectPath(path, subfolder, model),
                            out_json);
  });
}

peft_status_t* peft_inspect_files(const peft_file_t* files, size_t num_files,
                                  const peft_model_t* model,
                                  peft_string_t** out_json) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_json", out_json));
    PEFT_ASSIGN_OR_RETURN(const peft::Folder folder,
                          peft::FolderOfFiles(files, num_files));
    return peft::ReturnText(peft::Inspect(folder, "", model), out_json);
  });
}
