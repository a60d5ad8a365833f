// Making new f32 tensors in one step.
#ifndef PEFT_CC_ALGEBRA_F32_TENSOR_H_
#define PEFT_CC_ALGEBRA_F32_TENSOR_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// A new tensor of zeros that `fill` has written to. Fails as Tensor::Allocate.
absl::StatusOr<Tensor> MakeF32Tensor(
    std::vector<int64_t> shape,
    absl::FunctionRef<void(absl::Span<float> elements)> fill);

// A new tensor of zeros.
absl::StatusOr<Tensor> MakeF32Zeros(std::vector<int64_t> shape);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_F32_TENSOR_H_
