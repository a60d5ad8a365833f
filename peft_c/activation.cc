#include "peft_c/activation.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status BadCount(absl::string_view name, size_t count, int64_t batch,
                      absl::string_view expected) {
  return BadArgument(name, absl::StrCat("has ", count, " elements for ", batch,
                                        " rows, expected ", expected));
}

absl::StatusOr<BatchPlan> NamedRows(const RowOptions& options, int64_t batch,
                                    Model& model) {
  constexpr char kName[] = "options.adapter_names";
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<std::string> names,
      TextArray(kName, options.adapter_names, options.num_adapter_names));
  if (static_cast<int64_t>(names.size()) != batch) {
    return BadCount(kName, names.size(), batch, "one for each");
  }
  return model.PlanRows(names);
}

absl::StatusOr<std::shared_ptr<const Plan>> PlanOf(
    const std::string& name, const peft_activation_t* activation,
    const Model& model) {
  if (activation == nullptr) return nullptr;
  PEFT_ASSIGN_OR_RETURN(const auto object, Lookup(name, activation));
  if (object->model.get() == &model) return object->held.plan;
  return BadArgument(name, "is of another model than the session");
}

absl::StatusOr<BatchPlan> ActivationRows(const RowOptions& options,
                                         int64_t batch, Model& model) {
  constexpr char kName[] = "options.activations";
  PEFT_ASSIGN_OR_RETURN(
      const auto activations,
      ArrayArgument(kName, options.activations, options.num_activations));
  if (activations.size() != 1 &&
      static_cast<int64_t>(activations.size()) != batch) {
    return BadCount(kName, activations.size(), batch, "one, or one for each");
  }
  std::vector<std::shared_ptr<const Plan>> plans;
  for (size_t i = 0; i < activations.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(
        std::shared_ptr<const Plan> plan,
        PlanOf(absl::StrCat(kName, "[", i, "]"), activations[i], model));
    plans.push_back(std::move(plan));
  }
  return model.PlanRows(plans);
}

}  // namespace

absl::StatusOr<std::optional<BatchPlan>> ReadRows(const RowOptions& options,
                                                  int64_t batch, Model& model) {
  const bool has_names = options.num_adapter_names > 0;
  const bool has_activations = options.num_activations > 0;
  if (has_names && has_activations) {
    return BadArgument("options.adapter_names",
                       "and options.activations are both given");
  }
  if (!has_names && !has_activations) return std::nullopt;
  PEFT_ASSIGN_OR_RETURN(BatchPlan plans,
                        has_names ? NamedRows(options, batch, model)
                                  : ActivationRows(options, batch, model));
  return std::optional<BatchPlan>(std::move(plans));
}

}  // namespace peft

peft_status_t* peft_activation_create(const peft_model_t* model,
                                      const char* const* names,
                                      const float* scales, size_t num_names,
                                      peft_activation_t** out_activation) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_activation", out_activation));
    auto made = std::make_shared<peft::ActivationObject>();
    PEFT_ASSIGN_OR_RETURN(made->model, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> keys,
                          peft::TextArray("names", names, num_names));
    const size_t num_scales = scales == nullptr ? 0 : num_names;
    PEFT_ASSIGN_OR_RETURN(
        made->held,
        made->model->MakePlan(keys, absl::MakeConstSpan(scales, num_scales)));
    return peft::NewHandle(std::move(made), out_activation);
  });
}

void peft_activation_free(peft_activation_t* activation) {
  peft::FreeHandle("peft_activation_free", activation);
}
