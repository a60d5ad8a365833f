// A product as a linear layer has it.
#ifndef KERNELS_CUDA_LT_TESTING_EXAMPLE_GEMM_H_
#define KERNELS_CUDA_LT_TESTING_EXAMPLE_GEMM_H_

#include <cstdint>

#include "kernels/cuda/lt/gemm.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// y[m, 32] = x[m, 64] w[32, 64]^T in BF16.
inline Gemm LinearGemm(int64_t m) {
  Gemm gemm;
  gemm.m = m;
  gemm.n = 32;
  gemm.k = 64;
  gemm.left = {DType::kBF16, 64, 16, false};
  gemm.right = {DType::kBF16, 64, 16, true};
  gemm.out = {DType::kBF16, 32, 16, false};
  return gemm;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_TESTING_EXAMPLE_GEMM_H_
