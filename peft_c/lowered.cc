// What adapters do at a layer, for programs that run it themselves.

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/activation.h"
#include "peft_c/arguments.h"
#include "peft_c/layer_index.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/adapters/lowered_layer.h"
#include "peft_cc/base/error.h"

namespace peft {

// What such a handle stands for.
struct LoweredObject {
  std::shared_ptr<Model> model;  // outlives the plan below
  std::shared_ptr<const Plan> plan;
  std::vector<LoweredForm> forms;
};

template <>
struct HandleTraits<peft_lowered_t> {
  using Object = const LoweredObject;
  static constexpr HandleKind kKind = HandleKind::kLowered;
};

namespace {

static_assert(LoweredForm::kScaleIn == PEFT_FORM_SCALE_IN &&
                  LoweredForm::kWeight == PEFT_FORM_WEIGHT &&
                  LoweredForm::kRows == PEFT_FORM_ROWS &&
                  LoweredForm::kLowRank == PEFT_FORM_LOW_RANK &&
                  LoweredForm::kScaleOut == PEFT_FORM_SCALE_OUT &&
                  LoweredForm::kBias == PEFT_FORM_BIAS,
              "the engine has the header's numbers");
static_assert(LoweredForm::kPartA == PEFT_FORM_TENSOR_A &&
                  LoweredForm::kPartB == PEFT_FORM_TENSOR_B &&
                  LoweredForm::kPartRankScale == PEFT_FORM_TENSOR_RANK_SCALE &&
                  LoweredForm::kPartGate == PEFT_FORM_TENSOR_GATE &&
                  LoweredForm::kPartFactor == PEFT_FORM_TENSOR_FACTOR &&
                  LoweredForm::kPartWeight == PEFT_FORM_TENSOR_WEIGHT &&
                  LoweredForm::kPartIds == PEFT_FORM_TENSOR_IDS &&
                  LoweredForm::kPartRows == PEFT_FORM_TENSOR_ROWS &&
                  LoweredForm::kPartBias == PEFT_FORM_TENSOR_BIAS,
              "and those of tensors");

absl::StatusOr<std::shared_ptr<const Plan>> PlanToLower(
    const Model& model, const peft_activation_t* activation) {
  if (activation == nullptr) return model.CurrentPlan();
  PEFT_ASSIGN_OR_RETURN(const auto object, Lookup("activation", activation));
  if (object->model.get() == &model) return object->held.plan;
  return BadArgument("activation", "is of another model");
}

absl::StatusOr<const LoweredForm*> FormAt(const LoweredObject& lowered,
                                          size_t index) {
  if (index < lowered.forms.size()) return &lowered.forms[index];
  return BadArgument("index", absl::StrCat("is ", index, ", but there are ",
                                           lowered.forms.size(), " forms"));
}

absl::Status NoSuchTensor(int32_t tensor, size_t index) {
  return MakeError(absl::StatusCode::kNotFound, error_id::kTensorMissing,
                   absl::StrCat("form ", index, " has no tensor ", tensor,
                                " of PEFT_FORM_TENSOR_..."));
}

}  // namespace
}  // namespace peft

peft_status_t* peft_model_lower_layer(const peft_model_t* model, int64_t layer,
                                      const peft_activation_t* activation,
                                      peft_lowered_t** out_lowered) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_lowered", out_lowered));
    auto made = std::make_shared<peft::LoweredObject>();
    PEFT_ASSIGN_OR_RETURN(made->model, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const int index,
                          peft::LayerIndex(*made->model, layer));
    PEFT_ASSIGN_OR_RETURN(made->plan,
                          peft::PlanToLower(*made->model, activation));
    made->forms = peft::LowerLayer(made->model->sites(), index, *made->plan);
    return peft::NewHandle(std::shared_ptr<const peft::LoweredObject>(made),
                           out_lowered);
  });
}

size_t peft_lowered_size(const peft_lowered_t* lowered) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(lowered);
    return object == nullptr ? 0 : object->forms.size();
  });
}

peft_status_t* peft_lowered_get_form(const peft_lowered_t* lowered,
                                     size_t index, peft_form_t* out_form) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_form", out_form));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("lowered", lowered));
    PEFT_ASSIGN_OR_RETURN(const peft::LoweredForm* found,
                          peft::FormAt(*object, index));
    peft_form_t form = PEFT_FORM_INIT;
    form.kind = found->kind;
    form.scale = found->scale;
    peft::WriteOutStruct(form, out_form);
    return absl::OkStatus();
  });
}

peft_status_t* peft_lowered_get_tensor(const peft_lowered_t* lowered,
                                       size_t index, int32_t tensor,
                                       peft_tensor_view_t* out_view) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_view", out_view));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("lowered", lowered));
    PEFT_ASSIGN_OR_RETURN(const peft::LoweredForm* form,
                          peft::FormAt(*object, index));
    const peft::LoweredForm::Array* const array = form->Find(tensor);
    if (array == nullptr) return peft::NoSuchTensor(tensor, index);
    peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
    view.data = array->data;
    view.dtype = static_cast<int32_t>(array->dtype);
    view.rank = static_cast<int32_t>(array->sizes.size());
    view.sizes = array->sizes.data();
    peft::WriteOutStruct(view, out_view);
    return absl::OkStatus();
  });
}

void peft_lowered_free(peft_lowered_t* lowered) {
  peft::FreeHandle("peft_lowered_free", lowered);
}
