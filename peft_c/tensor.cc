#include "peft_c/tensor.h"

#include <memory>

#include "peft_c/arguments.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

void peft_tensor_view_init(peft_tensor_view_t* view, size_t struct_size) {
  static constexpr peft_tensor_view_t kDefaults = PEFT_TENSOR_VIEW_INIT;
  peft::InitStruct(kDefaults, view, struct_size);
}

peft_status_t* peft_tensor_get_view(const peft_tensor_t* tensor,
                                    peft_tensor_view_t* out_view) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_view", out_view));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("tensor", tensor));
    peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
    view.data = object->data();
    view.dtype = static_cast<int32_t>(object->dtype());
    view.rank = object->rank();
    view.sizes = object->shape().data();
    peft::WriteOutStruct(view, out_view);
    return absl::OkStatus();
  });
}

void peft_tensor_free(peft_tensor_t* tensor) {
  peft::FreeHandle("peft_tensor_free", tensor);
}
