// The verbs of PeftAdapterMixin.

#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/state_dict.h"
#include "peft_c/struct_size.h"
#include "peft_c/text.h"
#include "peft_c/unmerge_warning.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// One scale per name, or none: all 1.
absl::StatusOr<absl::Span<const float>> ScalesOf(
    const peft_set_adapter_options_t* options, size_t num_names) {
  peft_set_adapter_options_t known = PEFT_SET_ADAPTER_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  if (known.scales == nullptr) return absl::Span<const float>();
  return absl::MakeSpan(known.scales, num_names);
}

// The body of the functions that return names: `get` gives them.
template <typename Get>
peft_status_t* ReturnNames(const peft_model_t* model,
                           peft_string_list_t** out_names, Get get) noexcept {
  return Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(ClearOut("out_names", out_names));
    PEFT_ASSIGN_OR_RETURN(const auto object, Lookup("model", model));
    return NewHandle(
        std::make_shared<const std::vector<std::string>>(get(*object)),
        out_names);
  });
}

}  // namespace
}  // namespace peft

void peft_set_adapter_options_init(peft_set_adapter_options_t* options,
                                   size_t struct_size) {
  static constexpr peft_set_adapter_options_t kDefaults =
      PEFT_SET_ADAPTER_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_set_adapter(
    peft_model_t* model, const char* const* names, size_t num_names,
    const peft_set_adapter_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                          peft::TextArray("names", names, num_names));
    PEFT_ASSIGN_OR_RETURN(const auto scales,
                          peft::ScalesOf(options, num_names));
    const peft::UnmergeWarning warning("peft_model_set_adapter", *object);
    return object->SetAdapter(keys, scales);
  });
}

peft_status_t* peft_model_disable_adapters(peft_model_t* model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    object->DisableAdapters();
    return absl::OkStatus();
  });
}

peft_status_t* peft_model_enable_adapters(peft_model_t* model) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    object->EnableAdapters();
    return absl::OkStatus();
  });
}

peft_status_t* peft_model_active_adapters(const peft_model_t* model,
                                          peft_string_list_t** out_names) {
  return peft::ReturnNames(model, out_names, [](const peft::Model& object) {
    return object.ActiveAdapters();
  });
}

peft_status_t* peft_model_list_adapters(const peft_model_t* model,
                                        peft_string_list_t** out_names) {
  return peft::ReturnNames(model, out_names, [](const peft::Model& object) {
    return object.AdapterNames();
  });
}

peft_status_t* peft_model_get_adapter_state_dict(
    const peft_model_t* model, const char* name,
    peft_state_dict_t** out_state_dict) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_state_dict", out_state_dict));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::OptionalText("name", name, ""));
    PEFT_ASSIGN_OR_RETURN(const auto adapter, object->GetAdapter(key));
    return peft::NewHandle(
        std::make_shared<peft::StateDict>(adapter->state_dict()),
        out_state_dict);
  });
}

peft_status_t* peft_model_delete_adapter(peft_model_t* model,
                                         const char* const* names,
                                         size_t num_names) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                          peft::TextArray("names", names, num_names));
    return object->DeleteAdapter(keys);
  });
}
