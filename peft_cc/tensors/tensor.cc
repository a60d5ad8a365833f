#include "peft_cc/tensors/tensor.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/quantize.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/huge_pages.h"

namespace peft {
namespace {

// A cache line, and the widest vector register.
constexpr uint64_t kAlignment = 64;

// Elements that Cast holds as f32 at a time: 16 KiB, well inside L1.
constexpr int64_t kCastChunk = 4096;

absl::Status NoMemoryError(DType dtype, absl::Span<const int64_t> shape) {
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
      absl::StrCat("no memory for a tensor of shape ", ShapeToString(shape),
                   " and dtype ", DTypeName(dtype)));
}

// Zeroed memory; the system hands out large blocks as zero pages for nothing,
// and backs them with huge ones when they are written.
std::shared_ptr<void> AllocateZeroed(int64_t size) {
  void* block = std::calloc(static_cast<uint64_t>(size) + kAlignment, 1);
  if (block == nullptr) return nullptr;
  PreferHugePages(block, static_cast<size_t>(size));
  const std::shared_ptr<void> owner(block, std::free);
  const uintptr_t address = reinterpret_cast<uintptr_t>(block);
  const uintptr_t aligned = (address + kAlignment - 1) & ~(kAlignment - 1);
  return std::shared_ptr<void>(
      owner, static_cast<uint8_t*>(block) + (aligned - address));
}

}  // namespace

Tensor::Tensor(DType dtype, std::vector<int64_t> shape, const void* data,
               std::shared_ptr<const void> owner)
    : dtype_(dtype),
      shape_(std::move(shape)),
      num_elements_(CheckedNumElements(shape_).value_or(0)),
      data_(data),
      owner_(std::move(owner)) {}

Tensor::Tensor(DType dtype, std::vector<int64_t> shape, const void* data,
               std::shared_ptr<const void> owner,
               std::shared_ptr<const kernels::BlockCodes> codes)
    : Tensor(dtype, std::move(shape), data, std::move(owner)) {
  codes_ = std::move(codes);
}

Tensor Tensor::InLines(DType dtype, std::vector<int64_t> shape,
                       const void* data, std::shared_ptr<const void> owner,
                       Lines lines, int64_t stride) {
  Tensor tensor(dtype, std::move(shape), data, std::move(owner));
  tensor.lines_ = lines;
  tensor.line_stride_ = stride;
  if (lines == Lines::kRows && stride == tensor.line_length()) {
    tensor.line_stride_ = 0;
  }
  return tensor;
}

absl::StatusOr<Tensor> Tensor::Allocate(DType dtype, std::vector<int64_t> shape,
                                        void** out_data) {
  const std::optional<int64_t> size = CheckedSizeBytes(dtype, shape);
  if (!size.has_value()) return NoMemoryError(dtype, shape);
  std::shared_ptr<void> memory = AllocateZeroed(*size);
  if (memory == nullptr) return NoMemoryError(dtype, shape);
  *out_data = memory.get();
  return Tensor(dtype, std::move(shape), memory.get(), memory);
}

int64_t Tensor::size_bytes() const {
  return num_elements_ * DTypeBits(dtype_) / 8;
}

int64_t Tensor::num_lines() const {
  if (is_contiguous()) return 1;
  return dim(is_by_columns() ? 1 : 0);
}

int64_t Tensor::line_length() const {
  return num_elements_ == 0 ? 0 : num_elements_ / num_lines();
}

int64_t Tensor::line_stride() const {
  return is_contiguous() ? num_elements_ : line_stride_;
}

Tensor Tensor::Stored() const {
  if (!is_by_columns()) return *this;
  return InLines(dtype_, {dim(1), dim(0)}, data_, owner_, Lines::kRows,
                 line_stride_);
}

absl::StatusOr<Tensor> Tensor::Contiguous() const {
  if (is_contiguous()) return *this;
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor copy, Allocate(dtype_, {shape_.begin(), shape_.end()}, &data));
  CopyTo(data);
  return copy;
}

void Tensor::CopyTo(void* out) const {
  if (num_elements_ == 0) return;
  const auto* const from = static_cast<const char*>(data_);
  auto* to = static_cast<char*>(out);
  const int size = DTypeSize(dtype_);
  const int64_t line_bytes =
      is_contiguous() ? size_bytes() : line_length() * size;
  const int64_t step = line_stride() * size;
  if (!is_by_columns()) {
    for (int64_t line = 0; line < num_lines(); ++line) {
      std::memcpy(to + line * line_bytes, from + line * step,
                  static_cast<size_t>(line_bytes));
    }
    return;
  }
  for (int64_t row = 0; row < dim(0); ++row) {
    for (int64_t col = 0; col < dim(1); ++col, to += size) {
      std::memcpy(to, from + col * step + row * size, size);
    }
  }
}

kernels::MatrixView Tensor::AsMatrix() const {
  assert(!is_by_columns());
  const int64_t rows = dim(0);
  const int64_t cols = rows == 0 ? 0 : num_elements_ / rows;
  return {
      data_,       dtype_, rows, cols, is_contiguous() ? cols : line_stride_,
      codes_.get()};
}

std::vector<float> Tensor::ToF32() const {
  std::vector<float> values(num_elements_);
  if (!CopyF32(0, num_elements_, values.data())) return {};
  return values;
}

bool Tensor::CopyF32(int64_t first, int64_t count, float* out) const {
  if (is_quantized()) {
    kernels::Dequantize(AsMatrix(), first, count, out);
    return true;
  }
  if (!is_contiguous()) return CopyLinesF32(first, count, out);
  const auto* const bytes = static_cast<const uint8_t*>(data_);
  return ConvertToF32(dtype_, bytes + first * DTypeSize(dtype_), count, out);
}

bool Tensor::CopyLinesF32(int64_t first, int64_t count, float* out) const {
  const auto* const bytes = static_cast<const uint8_t*>(data_);
  const int64_t row_length = num_elements_ / dim(0);
  const int64_t row_step = is_by_columns() ? 1 : line_stride_;
  const int64_t col_step = is_by_columns() ? line_stride_ : 1;
  while (count > 0) {
    const int64_t col = first % row_length;
    // Elements that follow each other in memory and in the row.
    const int64_t run = is_by_columns() ? 1 : std::min(count, row_length - col);
    const int64_t place = first / row_length * row_step + col * col_step;
    if (!ConvertToF32(dtype_, bytes + place * DTypeSize(dtype_), run, out)) {
      return false;
    }
    first += run;
    count -= run;
    out += run;
  }
  return true;
}

absl::StatusOr<Tensor> Tensor::Cast(DType dtype) const {
  if (dtype == dtype_) return Contiguous();
  float chunk[kCastChunk];
  if (!IsComputeDType(dtype) || !CopyF32(0, 0, chunk)) {
    return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTensorDType,
                     absl::StrCat("cannot convert a tensor from ",
                                  DTypeName(dtype_), " to ", DTypeName(dtype)));
  }
  void* data;
  PEFT_ASSIGN_OR_RETURN(Tensor result,
                        Allocate(dtype, {shape_.begin(), shape_.end()}, &data));
  uint8_t* dst = static_cast<uint8_t*>(data);
  for (int64_t i = 0; i < num_elements_; i += kCastChunk) {
    const int64_t count = std::min(kCastChunk, num_elements_ - i);
    CopyF32(i, count, chunk);
    ConvertFromF32(chunk, count, dtype, dst + i * DTypeSize(dtype));
  }
  return result;
}

std::optional<int64_t> CheckedNumElements(absl::Span<const int64_t> shape) {
  int64_t product = 1;
  bool is_empty = false;
  for (int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      is_empty = true;
    } else if (__builtin_mul_overflow(product, dim, &product)) {
      return std::nullopt;
    }
  }
  return is_empty ? 0 : product;
}

std::optional<int64_t> CheckedSizeBytes(DType dtype,
                                        absl::Span<const int64_t> shape) {
  const std::optional<int64_t> num_elements = CheckedNumElements(shape);
  if (!num_elements.has_value()) return std::nullopt;
  int64_t bits;
  if (__builtin_mul_overflow(*num_elements, DTypeBits(dtype), &bits)) {
    return std::nullopt;
  }
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

std::string ShapeToString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace peft
