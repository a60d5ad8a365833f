// Execution forms: what every PEFT method is lowered to. A site holds an
// ordered program of forms for each adapter; only the forms have kernels.
#ifndef PEFT_CC_METHODS_FORMS_H_
#define PEFT_CC_METHODS_FORMS_H_

#include <variant>
#include <vector>

#include "peft_cc/tensors/tensor.h"

namespace peft {

// p += scale * (x A^T) B^T. A is (r, in), B is (out, r), in the dtype of the
// adapter's file.
struct LowRank {
  Tensor a;
  Tensor b;
  float scale = 1.0f;
};

// beta += delta, the layer's constant output. f32, (out).
struct Bias {
  std::vector<float> delta;
};

using Form = std::variant<LowRank, Bias>;

// What one adapter does at one site, in order.
using SiteProgram = std::vector<Form>;

}  // namespace peft

#endif  // PEFT_CC_METHODS_FORMS_H_
