// What strides the weights in a program's memory may have.
#ifndef PEFT_CC_MODELS_HOST_STRIDES_H_
#define PEFT_CC_MODELS_HOST_STRIDES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// `weight`, which has elements, with the strides that it really has, one for
// each axis: its rows, an index of the first axis each, or if `takes_columns`
// the columns of a matrix are without gaps and do not overlap. A vector is
// without gaps. INVALID_ARGUMENT (ARGUMENT) for other strides names layer
// `name`. Those of an axis of one element do not matter.
absl::StatusOr<Tensor> WithStrides(const std::string& name,
                                   const Tensor& weight,
                                   absl::Span<const int64_t> strides,
                                   bool takes_columns);

// INVALID_ARGUMENT (ARGUMENT) where a site that is writable shares memory with
// another one: merges write into sites one by one. Lines of two weights may lie
// between each other's.
absl::Status CheckWritable(absl::Span<const Site> sites);

}  // namespace peft

#endif  // PEFT_CC_MODELS_HOST_STRIDES_H_
