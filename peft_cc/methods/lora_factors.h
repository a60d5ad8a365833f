// LoRA's factors on each kind of layer: their shapes in the file, and as the
// matrices of a low-rank product.
#ifndef PEFT_CC_METHODS_LORA_FACTORS_H_
#define PEFT_CC_METHODS_LORA_FACTORS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// INVALID_ARGUMENT (ADAPTER_CONFIG) where PEFT cannot have made or cannot run
// factors of rank `r` on `layer`: a convolution whose groups do not divide r,
// or with dilation, which PEFT's own A lacks; lora_bias on a layer without
// place for it.
absl::Status CheckLoraLayer(const Layer& layer, int64_t r, bool lora_bias);

// A is (r, in) and B (out, r). Of a convolution A is one like the base without
// groups, B one with a kernel of 1 and the base's groups. Of a parameter with
// experts A is (experts r, in), expert by expert, B (out, r experts), with the
// experts innermost.
std::vector<int64_t> LoraShapeOfA(const Layer& layer, int64_t r);
std::vector<int64_t> LoraShapeOfB(const Layer& layer, int64_t r);

// Such tensors as matrices (r, in) and (out, r), where in counts a
// convolution's columns: A is a view; B too unless it has groups, or several
// experts, of which that of `expert` is taken. RESOURCE_EXHAUSTED
// (OUT_OF_MEMORY).
Tensor LoraMatrixA(const Layer& layer, const Tensor& a, int64_t expert);
absl::StatusOr<Tensor> LoraMatrixB(const Layer& layer, const Tensor& b,
                                   int64_t expert);

}  // namespace peft

#endif  // PEFT_CC_METHODS_LORA_FACTORS_H_
