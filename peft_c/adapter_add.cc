// Fresh adapters.

#include <string>

#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

void peft_add_adapter_options_init(peft_add_adapter_options_t* options,
                                   size_t struct_size) {
  static constexpr peft_add_adapter_options_t kDefaults =
      PEFT_ADD_ADAPTER_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_add_adapter(
    peft_model_t* model, const char* name, const char* config_json,
    const peft_add_adapter_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, "default"));
    PEFT_ASSIGN_OR_RETURN(const std::string config,
                          peft::TextArgument("config_json", config_json));
    peft_add_adapter_options_t known = PEFT_ADD_ADAPTER_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(peft::ReadOptions(options, &known));
    return peft::MakeError(absl::StatusCode::kUnimplemented,
                           peft::error_id::kUnimplemented,
                           "this version cannot make fresh adapters yet; load "
                           "one that Python's add_adapter saved");
  });
}
