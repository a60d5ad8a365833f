// Passes over all elements of a tensor.
#ifndef PEFT_CC_ADAPTERS_TENSOR_SCAN_H_
#define PEFT_CC_ADAPTERS_TENSOR_SCAN_H_

#include "absl/status/statusor.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// True if any element is NaN or infinite. False for dtypes other than F32, F16
// and BF16. Runs at the speed of memory.
bool HasNonFinite(const Tensor& tensor);

// True if both have one shape and every element has the same value, whatever
// the dtypes. Not true where an element is NaN, unless the bytes are equal.
bool EqualValues(const Tensor& a, const Tensor& b);

// A copy in memory of its own, so that the file's other bytes can go.
absl::StatusOr<Tensor> CopyTensor(const Tensor& tensor);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TENSOR_SCAN_H_
