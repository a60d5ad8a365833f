// What is said of a layer that cannot be run as a caller wants it.
#ifndef PEFT_CC_MODELS_LAYER_CHECKS_H_
#define PEFT_CC_MODELS_LAYER_CHECKS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/linear_plan.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/models/array_view.h"

namespace peft {

// INVALID_ARGUMENT: `what` ("input") of the layer is another than expected, by
// its shape (TENSOR_SHAPE_MISMATCH), its dtype (TENSOR_DTYPE) or strides that
// are not those of rows (ARGUMENT).
absl::Status WrongShape(const Site& site, absl::string_view what,
                        absl::string_view expected, const ArrayView& view);
absl::Status WrongDType(const Site& site, absl::string_view what,
                        absl::string_view expected, DType found);
absl::Status WrongStrides(const Site& site, absl::string_view what);

// UNIMPLEMENTED (UNIMPLEMENTED): "layer "name": what".
absl::Status UnimplementedLayer(const Site& site, absl::string_view what);

// FAILED_PRECONDITION (LAYER_WEIGHT): the program kept the weight to itself.
absl::Status MissingWeight(const Site& site);

// UNIMPLEMENTED where terms of the plan wait for tokens.
absl::Status CheckGates(const Site& site, const kernels::LinearPlan& plan);

// FAILED_PRECONDITION (LAYER_NO_DELTA) where the plan does more at site `index`
// than add to its output.
absl::Status CheckOnlyAdds(const Site& site, int index, const Plan& plan);

}  // namespace peft

#endif  // PEFT_CC_MODELS_LAYER_CHECKS_H_
