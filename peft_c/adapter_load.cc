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
    if (out_report != nullptr) *out_report = nullptr;
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, "default"));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    PEFT_ASSIGN_OR_RETURN(const peft::LoadOptions known,
                          peft::ReadLoadOptions(options));
    PEFT_RETURN_IF_ERROR(peft::CheckNotReplacing(known));
    const peft::UnmergeWarning warning("peft_model_load_adapter", *object);
    return peft::Report(
        [&] {
          return object->LoadAdapter(key, folder, known.load,
                                     known.is_trainable);
        },
        out_report);
  });
}

peft_status_t* peft_model_load_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    if (out_report != nullptr) *out_report = nullptr;
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, "default"));
    PEFT_ASSIGN_OR_RETURN(peft::MemorySource source,
                          peft::SourceOf(config_json, state_dict));
    PEFT_ASSIGN_OR_RETURN(const peft::LoadOptions known,
                          peft::ReadLoadOptions(options));
    PEFT_RETURN_IF_ERROR(peft::CheckFromMemory(known));
    PEFT_RETURN_IF_ERROR(peft::CheckNotReplacing(known));
    const peft::UnmergeWarning warning("peft_model_load_adapter_from_memory",
                                       *object);
    return peft::Report(
        [&] {
          return object->LoadAdapterFromMemory(key, source.config,
                                               std::move(source.tensors),
                                               known.load, known.is_trainable);
        },
        out_report);
  });
}

peft_status_t* peft_model_replace_adapter(peft_model_t* model, const char* name,
                                          const char* path,
                                          const peft_load_options_t* options,
                                          peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    if (out_report != nullptr) *out_report = nullptr;
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, "default"));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    PEFT_ASSIGN_OR_RETURN(const peft::LoadOptions known,
                          peft::ReadLoadOptions(options));
    return peft::Report(
        [&] {
          return object->ReplaceAdapter(key, folder, known.load,
                                        peft::ReplaceOptionsOf(known));
        },
        out_report);
  });
}

peft_status_t* peft_model_replace_adapter_from_memory(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_state_dict_t* state_dict, const peft_load_options_t* options,
    peft_load_report_t** out_report) {
  return peft::Guard([&]() -> absl::Status {
    if (out_report != nullptr) *out_report = nullptr;
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, "default"));
    PEFT_ASSIGN_OR_RETURN(peft::MemorySource source,
                          peft::SourceOf(config_json, state_dict));
    PEFT_ASSIGN_OR_RETURN(const peft::LoadOptions known,
                          peft::ReadLoadOptions(options));
    PEFT_RETURN_IF_ERROR(peft::CheckFromMemory(known));
    return peft::Report(
        [&] {
          return object->ReplaceAdapterFromMemory(
              key, source.config, std::move(source.tensors), known.load,
              peft::ReplaceOptionsOf(known));
        },
        out_report);
  });
}
