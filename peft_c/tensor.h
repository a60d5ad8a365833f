// Tensors at the C ABI: handles, plain views, DLPack.
#ifndef PEFT_C_TENSOR_H_
#define PEFT_C_TENSOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"
#include "peft_cc/models/array_view.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

template <>
struct HandleTraits<peft_tensor_t> {
  using Object = const Tensor;
  static constexpr HandleKind kKind = HandleKind::kTensor;
};

// What a view is of, without its elements.
struct ViewShape {
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> sizes;
  bool has_data = false;  // false: data is NULL and there are elements
};

// The shape that `view` describes, whether it has data or not.
absl::StatusOr<ViewShape> ReadViewShape(absl::string_view argument,
                                        const peft_tensor_view_t* view);

// A copy of the elements that `view` describes, contiguous and row-major.
// Every field is checked; the memory behind `data` is taken on trust.
absl::StatusOr<Tensor> CopyTensorView(absl::string_view argument,
                                      const peft_tensor_view_t* view);

// The elements themselves, which must outlive the tensor. Checked as above;
// those that are not contiguous are refused.
absl::StatusOr<Tensor> BorrowTensorView(absl::string_view argument,
                                        const peft_tensor_view_t* view);

// The elements themselves whatever their strides, which `out_strides` receives;
// none: contiguous. What the tensor says of its memory holds for these only.
absl::StatusOr<Tensor> BorrowStridedView(absl::string_view argument,
                                         const peft_tensor_view_t* view,
                                         std::vector<int64_t>& out_strides);

// The elements themselves, for the length of the call, whatever their strides;
// checked as above. Allocates nothing.
absl::StatusOr<ArrayView> ReadArrayView(absl::string_view argument,
                                        const peft_tensor_view_t* view);
// The same in the memory of a CUDA device.
absl::StatusOr<ArrayView> ReadCudaArrayView(absl::string_view argument,
                                            const peft_tensor_view_t* view,
                                            int device_index);

}  // namespace peft

#endif  // PEFT_C_TENSOR_H_
