// A matrix in device memory.
#ifndef KERNELS_CUDA_LT_DEVICE_MATRIX_H_
#define KERNELS_CUDA_LT_DEVICE_MATRIX_H_

#include <cstdint>

#include "kernels/cuda/driver_types.h"
#include "kernels/cuda/lt/gemm.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// Row-major, rows `stride` elements apart. It owns nothing; address 0 means
// that there is none.
struct DeviceMatrix {
  DevicePtr data = 0;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
};

// Its columns from `first` on.
inline DeviceMatrix ColumnsOf(const DeviceMatrix& matrix, int64_t first,
                              int64_t count) {
  DeviceMatrix result = matrix;
  result.data += static_cast<DevicePtr>(first * DTypeSize(matrix.dtype));
  result.cols = count;
  return result;
}

// How it lies, with the alignment that its address happens to have.
inline GemmMatrix GemmMatrixOf(const DeviceMatrix& matrix, bool transposed) {
  return {matrix.dtype, matrix.stride, AlignmentOf(matrix.data), transposed};
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_DEVICE_MATRIX_H_
