// What is known of a loaded adapter, and of one before it is loaded.

#include <memory>
#include <string>

#include "hub/fetch.h"
#include "peft_c/arguments.h"
#include "peft_c/files.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_c/text.h"
#include "peft_cc/adapters/adapter_size.h"
#include "peft_cc/adapters/save.h"
#include "peft_cc/base/error.h"
#include "peft_cc/config/peft_types.h"

namespace peft {
namespace {

peft_adapter_info_t InfoOf(const AdapterInfo& known) {
  const Adapter& adapter = *known.adapter;
  peft_adapter_info_t info = PEFT_ADAPTER_INFO_INIT;
  info.peft_type = PeftTypeText(adapter.config().base.peft_type);
  info.generation = adapter.generation();
  info.rank = MaxRank(adapter);
  info.num_parameters = NumParameters(adapter);
  info.size_bytes = known.size_bytes;
  info.num_sites = static_cast<int64_t>(adapter.entries().size());
  info.scale = known.scale;
  info.is_active = known.is_active ? 1 : 0;
  info.is_pinned = known.is_pinned ? 1 : 0;
  info.is_trainable = known.origin.is_trainable ? 1 : 0;
  return info;
}

absl::StatusOr<AdapterInfo> FindInfo(const peft_model_t* model,
                                     const char* name) {
  PEFT_ASSIGN_OR_RETURN(const auto object, Lookup("model", model));
  PEFT_ASSIGN_OR_RETURN(const std::string key, OptionalText("name", name, ""));
  return object->GetAdapterInfo(key);
}

}  // namespace
}  // namespace peft

peft_status_t* peft_model_get_adapter_info(const peft_model_t* model,
                                           const char* name,
                                           peft_adapter_info_t* out_info) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_info", out_info));
    PEFT_ASSIGN_OR_RETURN(const peft::AdapterInfo info,
                          peft::FindInfo(model, name));
    peft::WriteOutStruct(peft::InfoOf(info), out_info);
    return absl::OkStatus();
  });
}

peft_status_t* peft_model_get_adapter_source(const peft_model_t* model,
                                             const char* name,
                                             peft_string_t** out_source) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_source", out_source));
    PEFT_ASSIGN_OR_RETURN(const peft::AdapterInfo info,
                          peft::FindInfo(model, name));
    return peft::NewHandle(
        std::make_shared<const std::string>(info.origin.source), out_source);
  });
}

peft_status_t* peft_model_get_adapter_config(const peft_model_t* model,
                                             const char* name,
                                             peft_string_t** out_json) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_json", out_json));
    PEFT_ASSIGN_OR_RETURN(const peft::AdapterInfo info,
                          peft::FindInfo(model, name));
    return peft::NewHandle(std::make_shared<const std::string>(
                               peft::AdapterConfigText(info.adapter->config())),
                           out_json);
  });
}

peft_status_t* peft_model_has_adapter(const peft_model_t* model,
                                      const char* name, int32_t* out_has) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_has", out_has));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    *out_has = object->HasAdapter(key) ? 1 : 0;
    return absl::OkStatus();
  });
}

namespace peft {
namespace {

void WriteEstimate(const AdapterEstimate& known,
                   peft_adapter_estimate_t* out_estimate) {
  peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
  estimate.size_bytes = known.size_bytes;
  estimate.file_bytes = known.file_bytes;
  estimate.num_parameters = known.num_parameters;
  estimate.num_tensors = known.num_tensors;
  WriteOutStruct(estimate, out_estimate);
}

}  // namespace
}  // namespace peft

peft_status_t* peft_estimate_adapter(const char* path, const char* subfolder,
                                     peft_adapter_estimate_t* out_estimate) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_estimate", out_estimate));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    PEFT_ASSIGN_OR_RETURN(const std::string below,
                          peft::OptionalText("subfolder", subfolder, ""));
    PEFT_ASSIGN_OR_RETURN(const peft::hub::Source source,
                          peft::hub::FetchAdapter(folder, below, {}));
    PEFT_ASSIGN_OR_RETURN(const peft::AdapterEstimate known,
                          peft::EstimateAdapter(source.folder, below));
    peft::WriteEstimate(known, out_estimate);
    return absl::OkStatus();
  });
}

peft_status_t* peft_estimate_files(const peft_file_t* files, size_t num_files,
                                   peft_adapter_estimate_t* out_estimate) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_estimate", out_estimate));
    PEFT_ASSIGN_OR_RETURN(peft::Folder folder,
                          peft::FolderOfFiles(files, num_files));
    PEFT_ASSIGN_OR_RETURN(const peft::AdapterEstimate known,
                          peft::EstimateAdapter(folder, ""));
    peft::WriteEstimate(known, out_estimate);
    return absl::OkStatus();
  });
}
