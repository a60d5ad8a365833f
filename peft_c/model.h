// Models at the C ABI.
#ifndef PEFT_C_MODEL_H_
#define PEFT_C_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/models/model.h"

namespace peft {

// What a model handle stands for.
template <>
struct HandleTraits<peft_model_t> {
  using Object = Model;
  static constexpr HandleKind kKind = HandleKind::kModel;
};

// The options as checked; null: all defaults.
absl::StatusOr<ModelOptions> ModelOptionsOf(
    const peft_model_options_t* options);

// The path of a model: "" for null where the options have its files, or
// adapters that name it, else a TextArgument.
absl::StatusOr<std::string> ModelPath(const char* path,
                                      const ModelOptions& options);

}  // namespace peft

#endif  // PEFT_C_MODEL_H_
