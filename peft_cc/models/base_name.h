// What a base model is called.
#ifndef PEFT_CC_MODELS_BASE_NAME_H_
#define PEFT_CC_MODELS_BASE_NAME_H_

#include <string>

#include "absl/strings/string_view.h"

namespace peft {

// Whether `named`, the base_model_name_or_path of an adapter, may be the model
// in `folder` whose config.json calls it `own_name` ("": nothing): the same
// text, the same last part of the path, or its Hub id in the folder of a Hub
// cache ("models--owner--name"). An empty `named` may be any model.
bool MayBeBase(absl::string_view named, absl::string_view folder,
               absl::string_view own_name);

}  // namespace peft

#endif  // PEFT_CC_MODELS_BASE_NAME_H_
