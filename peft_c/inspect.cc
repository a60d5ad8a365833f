// What an adapter folder holds, as JSON.

#include "peft_cc/adapters/inspect.h"

#include <memory>
#include <string>

#include "hub/fetch.h"
#include "peft_c/arguments.h"
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

absl::StatusOr<std::string> Inspect(const char* path, const char* subfolder,
                                    const peft_model_t* model) {
  PEFT_ASSIGN_OR_RETURN(const std::string folder, TextArgument("path", path));
  PEFT_ASSIGN_OR_RETURN(const std::string below,
                        OptionalText("subfolder", subfolder, ""));
  std::shared_ptr<Model> object;
  if (model != nullptr) {
    PEFT_ASSIGN_OR_RETURN(object, Lookup("model", model));
  }
  PEFT_ASSIGN_OR_RETURN(const hub::Source source,
                        hub::FetchAdapter(folder, below, {}));
  PEFT_ASSIGN_OR_RETURN(const AdapterSummary summary,
                        InspectAdapter(source.folder, below));
  return DumpJson(Describe(summary, object.get()));
}

}  // namespace
}  // namespace peft

peft_status_t* peft_inspect_adapter(const char* path, const char* subfolder,
                                    const peft_model_t* model,
                                    peft_string_t** out_json) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_json", out_json));
    PEFT_ASSIGN_OR_RETURN(std::string json,
                          peft::Inspect(path, subfolder, model));
    return peft::NewHandle(std::make_shared<const std::string>(std::move(json)),
                           out_json);
  });
}
