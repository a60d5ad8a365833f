// What changes an adapter that is loaded, or writes it.

#include <string>

#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/adapters/save.h"
#include "peft_cc/base/error.h"

void peft_save_options_init(peft_save_options_t* options, size_t struct_size) {
  static constexpr peft_save_options_t kDefaults = PEFT_SAVE_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_save_adapter(const peft_model_t* model,
                                       const char* name, const char* path,
                                       const peft_save_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, ""));
    PEFT_ASSIGN_OR_RETURN(const std::string folder,
                          peft::TextArgument("path", path));
    peft_save_options_t known = PEFT_SAVE_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(peft::ReadOptions(options, &known));
    peft::AdapterSaveOptions how;
    PEFT_ASSIGN_OR_RETURN(how.overwrite, peft::FlagArgument("options.overwrite",
                                                            known.overwrite));
    PEFT_ASSIGN_OR_RETURN(
        how.path_initial_model_for_weight_conversion,
        peft::OptionalText("options.path_initial_model_for_weight_conversion",
                           known.path_initial_model_for_weight_conversion, ""));
    return object->SaveAdapter(key, folder, how);
  });
}

peft_status_t* peft_model_rename_adapter(peft_model_t* model, const char* name,
                                         const char* new_name) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    PEFT_ASSIGN_OR_RETURN(const std::string next,
                          peft::TextArgument("new_name", new_name));
    return object->RenameAdapter(key, next);
  });
}

peft_status_t* peft_model_set_scale(peft_model_t* model, const char* name,
                                    float scale) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    return object->SetScale(key, scale);
  });
}

peft_status_t* peft_model_pin_adapter(peft_model_t* model, const char* name,
                                      int32_t pinned) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("name", name));
    PEFT_ASSIGN_OR_RETURN(const bool is_pinned,
                          peft::FlagArgument("pinned", pinned));
    return object->PinAdapter(key, is_pinned);
  });
}

peft_status_t* peft_model_set_adapter_limit(peft_model_t* model,
                                            int64_t max_bytes,
                                            int64_t max_adapters) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    return object->SetAdapterLimit({max_bytes, max_adapters});
  });
}
