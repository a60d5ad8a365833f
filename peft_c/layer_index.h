// Layers by the numbers of peft_model_find_layer.
#ifndef PEFT_C_LAYER_INDEX_H_
#define PEFT_C_LAYER_INDEX_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_cc/models/model.h"

namespace peft {

// The index among the model's sites. INVALID_ARGUMENT (ARGUMENT) for a number
// that no layer has.
inline absl::StatusOr<int> LayerIndex(const Model& model, int64_t layer) {
  const auto count = static_cast<int64_t>(model.sites().sites().size());
  if (layer >= 0 && layer < count) return static_cast<int>(layer);
  return BadArgument("layer",
                     absl::StrCat("is ", layer,
                                  ", expected one that "
                                  "peft_model_find_layer gave for this model"));
}

}  // namespace peft

#endif  // PEFT_C_LAYER_INDEX_H_
