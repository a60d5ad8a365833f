// Tensors at the C ABI: handles, plain views, DLPack.
#ifndef PEFT_C_TENSOR_H_
#define PEFT_C_TENSOR_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

template <>
struct HandleTraits<peft_tensor_t> {
  using Object = const Tensor;
  static constexpr HandleKind kKind = HandleKind::kTensor;
};

// A copy of the elements that `view` describes, contiguous and row-major.
// Every field is checked; the memory behind `data` is taken on trust.
absl::StatusOr<Tensor> CopyTensorView(absl::string_view argument,
                                      const peft_tensor_view_t* view);

// The elements themselves, which must outlive the tensor. Checked as above;
// those that are not contiguous are refused.
absl::StatusOr<Tensor> BorrowTensorView(absl::string_view argument,
                                        const peft_tensor_view_t* view);

}  // namespace peft

#endif  // PEFT_C_TENSOR_H_
