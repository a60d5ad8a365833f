#include "peft_cc/algebra/f32_tensor.h"

#include <utility>

#include "peft_cc/base/error.h"

namespace peft {

absl::StatusOr<Tensor> MakeF32Tensor(
    std::vector<int64_t> shape,
    absl::FunctionRef<void(absl::Span<float> elements)> fill) {
  void* data;
  PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                        Tensor::Allocate(DType::kF32, std::move(shape), &data));
  fill(absl::MakeSpan(static_cast<float*>(data), tensor.num_elements()));
  return tensor;
}

absl::StatusOr<Tensor> MakeF32Zeros(std::vector<int64_t> shape) {
  return MakeF32Tensor(std::move(shape), [](absl::Span<float>) {});
}

}  // namespace peft
