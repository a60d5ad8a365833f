// A tensor in memory: immutable, and contiguous unless it is a program's.
#ifndef PEFT_CC_TENSORS_TENSOR_H_
#define PEFT_CC_TENSORS_TENSOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/view.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// A view with shared ownership of the memory below it: copying is cheap and
// copies no elements. `data` may be unaligned. Immutable, so thread-safe.
// Elements are in row-major order, one behind the other, but for those of
// InLines.
class Tensor {
 public:
  Tensor() = default;

  // What lies without gaps in a tensor whose lines may be apart: all that an
  // index of the first axis has, or the columns of a matrix.
  enum class Lines { kRows, kColumns };

  // One whose lines begin `stride` elements apart, at least as many as one has.
  static Tensor InLines(DType dtype, std::vector<int64_t> shape,
                        const void* data, std::shared_ptr<const void> owner,
                        Lines lines, int64_t stride);

  // `data` points to the elements, kept alive by `owner` (may be null when
  // something else keeps them alive). CheckedSizeBytes must know the size.
  Tensor(DType dtype, std::vector<int64_t> shape, const void* data,
         std::shared_ptr<const void> owner);

  // A matrix of codes: `dtype` is one of codes and `codes`, kept alive with
  // what it points to, says what they stand for.
  Tensor(DType dtype, std::vector<int64_t> shape, const void* data,
         std::shared_ptr<const void> owner,
         std::shared_ptr<const kernels::BlockCodes> codes);

  // New zeroed memory, 64-byte aligned; `out_data` receives the writable
  // pointer to fill before the tensor is shared. Fails with
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY) when the size overflows or memory is
  // out.
  static absl::StatusOr<Tensor> Allocate(DType dtype,
                                         std::vector<int64_t> shape,
                                         void** out_data);

  // kUnspecified for a default-made tensor.
  DType dtype() const { return dtype_; }
  // The dimensions, outermost first; none for a scalar.
  absl::Span<const int64_t> shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int i) const { return shape_[i]; }
  // 1 for a scalar, 0 when a dimension is 0.
  int64_t num_elements() const { return num_elements_; }
  // Bytes that the elements take; of codes without their scales.
  int64_t size_bytes() const;
  // The first element, in any alignment.
  const void* data() const { return data_; }

  // True where all elements follow each other in row-major order.
  bool is_contiguous() const { return line_stride_ == 0; }
  // A matrix in memory column by column.
  bool is_by_columns() const { return lines_ == Lines::kColumns; }
  // The memory as lines, `line_stride` elements apart; one of all elements
  // where they are contiguous.
  int64_t num_lines() const;
  int64_t line_length() const;
  int64_t line_stride() const;
  // As it lies in memory: of a matrix by columns the transpose, else itself.
  Tensor Stored() const;
  // Itself, or a contiguous copy. Fails as Allocate.
  absl::StatusOr<Tensor> Contiguous() const;
  // Writes the elements to size_bytes() bytes, contiguous.
  void CopyTo(void* out) const;

  // What keeps the elements alive; may be null.
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // What codes stand for; null unless the dtype is one of codes.
  const std::shared_ptr<const kernels::BlockCodes>& codes() const {
    return codes_;
  }
  bool is_quantized() const { return codes_ != nullptr; }
  // As a matrix with a row for each index of the first dimension, of which
  // there is one. The view is valid as long as this object's elements. Not for
  // a tensor by columns: see Stored.
  kernels::MatrixView AsMatrix() const;

  // A copy of the elements as f32; empty for dtypes without a conversion.
  std::vector<float> ToF32() const;
  // The same for elements [first, first + count) in row-major order. False for
  // dtypes without a conversion.
  bool CopyF32(int64_t first, int64_t count, float* out) const;

  // The elements in another float dtype (kF32, kF16, kBF16): a copy, or
  // Contiguous() when the dtype is this one already. Fails with
  // INVALID_ARGUMENT (TENSOR_DTYPE) where there is no conversion.
  absl::StatusOr<Tensor> Cast(DType dtype) const;

 private:
  // CopyF32 of one that is not contiguous.
  bool CopyLinesF32(int64_t first, int64_t count, float* out) const;

  DType dtype_ = DType::kUnspecified;
  std::vector<int64_t> shape_;
  int64_t num_elements_ = 0;
  const void* data_ = nullptr;
  Lines lines_ = Lines::kRows;
  int64_t line_stride_ = 0;  // 0: contiguous
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const kernels::BlockCodes> codes_;
};

// The product of the dimensions; nullopt when one is negative or the product
// of those that are not 0 overflows.
std::optional<int64_t> CheckedNumElements(absl::Span<const int64_t> shape);

// Bytes of a tensor; nullopt where CheckedNumElements has none, on overflow,
// and when the elements do not fill whole bytes.
std::optional<int64_t> CheckedSizeBytes(DType dtype,
                                        absl::Span<const int64_t> shape);

// "[8, 128]".
std::string ShapeToString(absl::Span<const int64_t> shape);

// Tensors of one file by name, in name order.
using TensorMap = std::map<std::string, Tensor>;

}  // namespace peft

#endif  // PEFT_CC_TENSORS_TENSOR_H_
