// How adapters come in: loaded, from memory, and in the place of others.

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "peft_c/arguments.h"
#include "peft_c/load_options.h"
#include "peft_c/load_report.h"
#include "peft_c/model.h"
#include "peft_c/state_dict.h"
#include "peft_c/struct_size.h"
#include "peft_c/unmerge_warning.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Where an adapter in memory comes from.
struct MemorySource {
  std::string config;
  TensorMap tensors;
};

absl::StatusOr<MemorySource> SourceOf(const char* config_json,
                                      const peft_state_dict_t* state_dict) {
  MemorySource source;
  PEFT_ASSIGN_OR_RETURN(source.config,
                        TextArgument("config_json", config_json));
  PEFT_ASSIGN_OR_RETURN(const auto object, Lookup("state_dict", state_dict));
  source.tensors = object->tensors();
  return source;
}

// Loads and gives the report a handle, which is made first: when the adapter
// is there, nothing may fail any more.
absl::Status Report(absl::FunctionRef<absl::StatusOr<LoadReport>()> load,
                    peft_load_report_t** out_report) {
  auto report = std::make_shared<LoadReport>();
  PendingHandle<peft_load_report_t> handle(report);
  PEFT_ASSIGN_OR_RETURN(*report, load());
  if (out_report != nullptr) *out_report = handle.Release();
  return absl::OkStatus();
}

// What every one of these calls is given.
struct LoadCall {
  std::shared_ptr<Model> model;
  std::string name;
  LoadOptions options;
};

// Clears `*out_report`, which may be missing, whatever else is wrong.
absl::StatusOr<LoadCall> ReadCall(peft_model_t* model, const char* name,
                                  const peft_load_options_t* options,
                                  peft_load_report_t** out_report) {
  if (out_report != nullptr) *out_report = nullptr;
  LoadCall call;
  PEFT_ASSIGN_OR_RETURN(call.model, Lookup("model", model));
  PEFT_ASSIGN_OR_RETURN(call.name, OptionalText("name", name, "default"));
  PEFT_ASSIGN_OR_RETURN(call.options, ReadLoadOptions(options));
  return call;
}

ReplaceOptions ReplaceOptionsOf(const LoadOptions& options) {
  return {options.is_trainable, options.expected_generation};
}

}  // namespace
}  // namespace peft

void peft_load_options_init(peft_load_options_t* options, size_t struct_size) {
  static constexpr peft_load_options_t kDefaults = PEFT_LOAD_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_load_adapter(peft_model_t* model, const char* name,
                                       const char* path,
                                       const peft_load_options_t* options,
                                       peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::LoadCall call,
                          peft::ReadCall(model, name, options, out_report));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::AdapterPath(path, call.options));
    PEFT_RETURN_IF_ERROR(peft::CheckNotReplacing(call.options));
    const peft::UnmergeWarning warning("peft_model_load_adapter", *call.model);
    return peft::Report(
        [&] {
          return call.model->LoadAdapter(call.name, folder, call.options.load,
                                         call.options.is_trainable);
        },
        out_report);
  });
}

peft_status_t* peft_model_load_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::LoadCall call,
                          peft::ReadCall(model, name, options, out_report));
    PEFT_ASSIGN_OR_RETURN(peft::MemorySource source,
                          peft::SourceOf(config_json, state_dict));
    PEFT_RETURN_IF_ERROR(peft::CheckFromMemory(call.options));
    PEFT_RETURN_IF_ERROR(peft::CheckNotReplacing(call.options));
    const peft::UnmergeWarning warning("peft_model_load_adapter_from_memory",
                                       *call.model);
    return peft::Report(
        [&] {
          return call.model->LoadAdapterFromMemory(
              call.name, source.config, std::move(source.tensors),
              call.options.load, call.options.is_trainable);
        },
        out_report);
  });
}

peft_status_t* peft_model_replace_adapter(peft_model_t* model, const char* name,
                                          const char* path,
                                          const peft_load_options_t* options,
                                          peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::LoadCall call,
                          peft::ReadCall(model, name, options, out_report));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::AdapterPath(path, call.options));
    return peft::Report(
        [&] {
          return call.model->ReplaceAdapter(
              call.name, folder, call.options.load,
              peft::ReplaceOptionsOf(call.options));
        },
        out_report);
  });
}

peft_status_t* peft_model_replace_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::LoadCall call,
                          peft::ReadCall(model, name, options, out_report));
    PEFT_ASSIGN_OR_RETURN(peft::MemorySource source,
                          peft::SourceOf(config_json, state_dict));
    PEFT_RETURN_IF_ERROR(peft::CheckFromMemory(call.options));
    return peft::Report(
        [&] {
          return call.model->ReplaceAdapterFromMemory(
              call.name, source.config, std::move(source.tensors),
              call.options.load, peft::ReplaceOptionsOf(call.options));
        },
        out_report);
  });
}
