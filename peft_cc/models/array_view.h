// Elements in memory that a caller owns, as layers read and write them.
#ifndef PEFT_CC_MODELS_ARRAY_VIEW_H_
#define PEFT_CC_MODELS_ARRAY_VIEW_H_

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// Owns nothing. Sizes and strides count elements; as many strides as sizes, or
// none: contiguous, the last axis fastest. What is written to is writable,
// whatever the type of `data` says. `data` may be unaligned.
struct ArrayView {
  DType dtype = DType::kUnspecified;
  absl::Span<const int64_t> sizes;
  absl::Span<const int64_t> strides = {};
  const void* data = nullptr;

  int rank() const { return static_cast<int>(sizes.size()); }
};

// An array as rows of `cols` elements, `stride` elements apart.
struct ArrayRows {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  // From the first element to behind the last.
  int64_t extent() const { return rows == 0 ? 0 : (rows - 1) * stride + cols; }
};

// The last `row_axes` axes as rows, which must be contiguous, one behind the
// other at a regular distance; nullopt where they are not. The product of the
// sizes must fit.
std::optional<ArrayRows> RowsOf(const ArrayView& view, int row_axes);

// True where `extent_a` elements of `a` and `extent_b` of `b` share a byte.
bool Overlap(const ArrayView& a, int64_t extent_a, const ArrayView& b,
             int64_t extent_b);

// Copies rows as f32, and back. The dtypes are F32, BF16 or F16.
void RowsToF32(const ArrayView& view, const ArrayRows& rows, float* to);
void RowsFromF32(const float* from, const ArrayRows& rows,
                 const ArrayView& view);

}  // namespace peft

#endif  // PEFT_CC_MODELS_ARRAY_VIEW_H_
