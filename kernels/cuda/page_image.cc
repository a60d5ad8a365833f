#include "kernels/cuda/page_image.h"

#include <cstdint>
#include <cstring>

#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Copies the `width` elements from `column` on of each of the rows.
void CopyBlock(const MatrixView& matrix, int64_t row, int64_t rows,
               int64_t column, int64_t width, char* to) {
  const size_t size = DTypeSize(matrix.dtype);
  const char* const from = static_cast<const char*>(matrix.data) +
                           (row * matrix.stride + column) * size;
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * width * size, from + i * matrix.stride * size,
                width * size);
  }
}

}  // namespace

size_t FillPage(absl::Span<const HostPair> pairs,
                absl::Span<const PagePiece> pieces, char* page) {
  size_t bytes = 0;
  for (const PagePiece& piece : pieces) {
    const HostPair& pair = pairs[piece.site];
    CopyBlock(pair.a, piece.first_rank, piece.num_ranks, 0, pair.a.cols,
              page + piece.a_offset);
    CopyBlock(pair.b, 0, pair.b.rows, piece.first_rank, piece.num_ranks,
              page + piece.b_offset);
    bytes = piece.b_offset +
            pair.b.rows * piece.num_ranks * DTypeSize(pair.b.dtype);
  }
  return bytes;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
