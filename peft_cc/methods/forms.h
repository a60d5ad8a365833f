// Execution forms: what every PEFT method is lowered to. A site holds an
// ordered program of forms for each adapter; only the forms have kernels.
//
// A layer computes y = p + beta, where p is its product with the input x and
// beta its bias. The programs of several adapters form a stack, innermost
// first; a form acts on what is inside it.
#ifndef PEFT_CC_METHODS_FORMS_H_
#define PEFT_CC_METHODS_FORMS_H_

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "peft_cc/methods/floats.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Opens at the start of the last place in a row's tokens where these stand in
// sequence, and stays open to the row's end; a row without them never opens it.
using InvocationTokens = std::shared_ptr<const std::vector<int64_t>>;

// p += scale * ((x A^T) * rank_scale) B^T. A is (r, in), B is (out, r), in the
// dtype of the adapter's file. A caller's factor multiplies scale.
struct LowRank {
  Tensor a;
  Tensor b;
  float scale = 1.0f;
  InvocationTokens gate = nullptr;     // null: always open
  std::vector<float> rank_scale = {};  // (r); empty: all 1
};

// beta += delta. f32, (out). A caller's factor multiplies delta. With `of_base`
// it is the layer's own bias that changes, inside of all programs.
struct Bias {
  std::vector<float> delta;
  bool of_base = false;
};

// What is inside reads x * factor in place of x. f32; each number is for
// `repeat` inputs, one after the other. Has no scale.
struct ScaleIn {
  Floats factor;
  int64_t repeat = 1;
};

// p *= factor, and with `with_bias` beta *= factor. f32, (out). Has no scale.
struct ScaleOut {
  Floats factor;
  bool with_bias = false;
};

// DoRA: y = b + (y - b) * magnitude / ||W + s B A||, a norm for each output; b
// is the layer's own bias, with what adapters have trained of it. It belongs to
// the LowRank before it, whose scale, times the caller's factor, is s. ||W + s
// B A||^2 = norm0 + 2 s norm1 + s^2 norm2.
struct MagnitudeScale {
  Floats magnitude;
  std::vector<double> norm0;  // sum of W^2
  std::vector<double> norm1;  // sum of W * BA
  std::vector<double> norm2;  // sum of (BA)^2
  float scale = 1.0f;
};

// The layer's weight and bias are others, in the layout of the site's own.
// Has no scale.
struct Replace {
  Tensor weight;
  Tensor bias;  // unspecified dtype: none
};

// Rows `ids` of the layer's weight, (n, width) of them, are others. `ids` rise.
// Has no scale.
struct ReplaceRows {
  std::vector<int64_t> ids;
  Tensor rows;
};

using Form = std::variant<LowRank, Bias, ScaleIn, ScaleOut, MagnitudeScale,
                          Replace, ReplaceRows>;

// What one adapter does at one site, in order.
using SiteProgram = std::vector<Form>;

// True if a caller may give the program any factor; else 1, or 0, which leaves
// it out.
bool IsScalable(const SiteProgram& program);

}  // namespace peft

#endif  // PEFT_CC_METHODS_FORMS_H_
