// A product of matrices as we see it, row-major, and the rules that it obeys
// before the library is asked.
#ifndef KERNELS_CUDA_LT_GEMM_H_
#define KERNELS_CUDA_LT_GEMM_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {

// How a matrix lies in memory: rows `stride` elements apart, the first at an
// address that is a multiple of `alignment`, a power of two of at most 256.
struct GemmMatrix {
  DType dtype = DType::kF32;
  int64_t stride = 0;
  int64_t alignment = 16;
  // What is stored is the factor's transpose.
  bool transposed = false;
};

// What multiplies the product. Values of the plan file: never renumber.
enum class GemmScale : int32_t {
  kOne = 0,
  kDevice = 1,           // one f32 in device memory, read when it runs
  kDevicePerColumn = 2,  // n of them; then nothing is accumulated
};

// Applied last. Values of the plan file: never renumber.
enum class GemmActivation : int32_t {
  kNone = 0,
  kRelu = 1,
  kGeluTanh = 2,  // GELU by its approximation, "gelu_pytorch_tanh"
};

//   out (m, n) = activation(scale left (m, k) right (k, n) [+ out] [+ bias])
struct Gemm {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  GemmMatrix left;
  GemmMatrix right;
  GemmMatrix out;
  GemmScale scale = GemmScale::kOne;
  bool accumulate = false;
  // Of `out`'s dtype, n elements at an address of this alignment; 0: none.
  int64_t bias_alignment = 0;
  GemmActivation activation = GemmActivation::kNone;
};

// OK for what cuBLASLt may be asked. INVALID_ARGUMENT (ARGUMENT) for sizes that
// contradict each other, UNIMPLEMENTED for dtypes that it cannot multiply.
absl::Status ValidateGemm(const Gemm& gemm);

// All of a Gemm as numbers: equal for equal ones.
constexpr int kGemmKeySize = 19;
using GemmKey = std::array<int64_t, kGemmKeySize>;
GemmKey KeyOf(const Gemm& gemm);

// Its inverse. False for numbers that no Gemm has; whether it is valid is
// ValidateGemm's to say.
bool GemmFromKey(const GemmKey& key, Gemm* gemm);

// The same with the rows of a batch rounded up to a power of two: products that
// share what tuning has found. The rows are m, and k where `left` is
// transposed, as in the gradient of a weight.
Gemm BucketOf(Gemm gemm);

// "y[8, 4096] = x[8, 64] w[64, 4096], BF16" for messages.
std::string GemmText(const Gemm& gemm);

// The largest power of two, at most 256, that divides `address`.
int64_t AlignmentOf(uint64_t address);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_GEMM_H_
