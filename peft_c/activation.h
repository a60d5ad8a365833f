// Activations at the C ABI, and what the rows of a call run.
#ifndef PEFT_C_ACTIVATION_H_
#define PEFT_C_ACTIVATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/model.h"

namespace peft {

// What an activation handle stands for.
struct ActivationObject {
  std::shared_ptr<Model> model;  // outlives the plan below
  HeldPlan held;
};

// An activation is never changed through its handle.
template <>
struct HandleTraits<peft_activation_t> {
  using Object = const ActivationObject;
  static constexpr HandleKind kKind = HandleKind::kActivation;
};

// The fields of that name in the options of forward and generate.
struct RowOptions {
  const char* const* adapter_names = nullptr;
  size_t num_adapter_names = 0;
  const peft_activation_t* const* activations = nullptr;
  size_t num_activations = 0;
};

// What a batch of `batch` rows runs; nullopt: what is active on the model.
absl::StatusOr<std::optional<BatchPlan>> ReadRows(const RowOptions& options,
                                                  int64_t batch, Model& model);

}  // namespace peft

#endif  // PEFT_C_ACTIVATION_H_
