// Between numbers and codes: see kernels/view.h for what codes are.
#ifndef KERNELS_QUANTIZE_H_
#define KERNELS_QUANTIZE_H_

#include <cstdint>

#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// Elements [first, first + count) of a matrix of codes in row-major order, each
// the product of its value and its scale, rounded to f32.
void Dequantize(const MatrixView& matrix, int64_t first, int64_t count,
                float* out);

// Whether Quantize interleaves a matrix of so many rows.
bool IsInterleaved(int64_t rows);

// Writes the codes of `weight` (F32, BF16 or F16, without gaps between rows)
// as `format` (kQ4 or kQ8), in blocks of kCodesAtOnce elements, of which a row
// has a whole number, and the scale of each block as BF16, interleaved where
// IsInterleaved says so. kQ8 takes the largest element to about 127; kQ4 takes,
// of some scales, the one with the least squared error. False where an element
// is NaN or infinite. Does not depend on the pool's number of threads.
bool Quantize(const MatrixView& weight, DType format, void* codes,
              uint16_t* scales, ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_QUANTIZE_H_
