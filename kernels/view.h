// Raw views: what kernels read and write. They own nothing.
#ifndef KERNELS_VIEW_H_
#define KERNELS_VIEW_H_

#include <cstdint>

#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {

// How the codes of a quantised matrix stand for numbers: an element is the
// value of its code times the scale of its block.
struct BlockCodes {
  // Of all blocks, row by row; a row is a whole number of blocks. F32 of
  // kTable4, BF16 of kQ4 and kQ8, there at any address.
  const void* scales = nullptr;
  int64_t block = 0;  // elements of one: a multiple of kCodesAtOnce
  // Of kTable4: the 16 values.
  const float* values = nullptr;
  // Of kQ4 and kQ8 in blocks of kCodesAtOnce: rows, of which there are whole
  // groups of kRowsTogether, are interleaved within a group, codes by four
  // bytes and scales one by one. So the first 64 bytes of codes are the first
  // four bytes of each of 16 rows.
  bool interleaved = false;
};
constexpr int64_t kCodesAtOnce = 32;
// Bytes of a block's scale.
constexpr int64_t ScaleSize(DType codes) {
  return codes == DType::kTable4 ? 4 : 2;
}
constexpr int64_t kRowsTogether = 16;

// A row-major matrix of F32, BF16 or F16 whose rows lie `stride` elements
// apart; or of codes (kTable4, kQ4 or kQ8), without gaps between rows. Two
// codes of 4 bits share a byte, the first in its upper half. `data` may be
// unaligned.
struct MatrixView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  const BlockCodes* codes = nullptr;  // null unless quantised
};

// A vector of F32, BF16 or F16; null data means "none".
struct VectorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t size = 0;
};

// Activations: f32 rows, `stride` elements apart.
struct Rows {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
};

struct ConstRows {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  ConstRows() = default;
  ConstRows(const float* data_in, int64_t rows_in, int64_t cols_in,
            int64_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}
  ConstRows(const Rows& rows_in)  // NOLINT: a view converts to const.
      : ConstRows(rows_in.data, rows_in.rows, rows_in.cols, rows_in.stride) {}
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_VIEW_H_
