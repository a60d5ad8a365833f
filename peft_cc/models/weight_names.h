// The names that weight files give a model's tensors: with or without the name
// of the bare model, today's or TensorFlow's.
#ifndef PEFT_CC_MODELS_WEIGHT_NAMES_H_
#define PEFT_CC_MODELS_WEIGHT_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Where the files hold weight `name` of a description whose bare_prefix is
// `prefix`, under whichever name; end() when they do not.
TensorMap::iterator FindWeight(TensorMap& tensors, absl::string_view prefix,
                               const std::string& name);

// Whether they hold it, whatever the prefix is.
bool HoldsWeight(const TensorMap& tensors, const std::string& name);

}  // namespace peft

#endif  // PEFT_CC_MODELS_WEIGHT_NAMES_H_
