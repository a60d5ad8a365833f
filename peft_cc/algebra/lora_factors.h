// The tensors of one LoRA layer, as initialisers and combinations make them.
#ifndef PEFT_CC_ALGEBRA_LORA_FACTORS_H_
#define PEFT_CC_ALGEBRA_LORA_FACTORS_H_

#include <optional>

#include "peft_cc/tensors/tensor.h"

namespace peft {

// The layer adds scale * B(A x). f32. Linear layers: a (r, in), b (out, r).
// Convolutions: a (r, in, kernel ...), b (out, r / groups, 1 ...). Embeddings,
// whose factors PEFT stores the same way round: a (r, rows), b (width, r).
struct LoraFactors {
  Tensor a;
  Tensor b;
  // lora_B's bias (out), where the adapter has one.
  std::optional<Tensor> b_bias = std::nullopt;
};

// A change of the base weight that belongs to the adapter:
// W' = W + scale * B A, with a (r, in) and b (out, r) in f32.
struct BaseChange {
  Tensor a;
  Tensor b;
  double scale = 1;
};

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_LORA_FACTORS_H_
