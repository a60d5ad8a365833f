// Products of bf16 weights for x86 with AVX512-BF16; compiled with its flags.
// One instruction multiplies as many pairs as another does single floats, so
// that two parts of an activation would cost what f32 does, with fewer digits:
// only rounded activations are faster.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

namespace peft {
namespace kernels {
namespace cpu {
namespace {

// clang-format off
#include "kernels/cpu/macros.inc"
#include "kernels/cpu/vec_avx512.inc"
#include "kernels/cpu/tiles.inc"
// clang-format on

constexpr const KernelTable& kBase = kAvx512Kernels;
constexpr int kExactParts = 0;
constexpr int64_t kBlockRows = 8;
constexpr int64_t kBlockVectors = 3;

// clang-format off
#include "kernels/cpu/bf16_avx512.inc"
#include "kernels/cpu/bf16_many.inc"
// clang-format on

void SumBlock(const Scratch& scratch, int64_t group, int64_t steps, int parts,
              float (*sums)[kBlockOutputs]) {
  F total[kBlockRows][kBlockVectors];
  PEFT_UNROLL
  for (int m = 0; m < kBlockRows; ++m) {
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) total[m][v] = Set(0);
  }
  for (int part = 0; part < parts; ++part) {
    for (int64_t i = 0; i < steps * kStepPairs; ++i) {
      __m512bh w[kBlockVectors];
      PEFT_UNROLL
      for (int v = 0; v < kBlockVectors; ++v) {
        w[v] = reinterpret_cast<__m512bh>(Load(scratch.panels[group + v][i]));
      }
      PEFT_UNROLL
      for (int m = 0; m < kBlockRows; ++m) {
        int32_t pair;
        __builtin_memcpy(&pair, &scratch.x[part][m][2 * i], sizeof(pair));
        const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
        PEFT_UNROLL
        for (int v = 0; v < kBlockVectors; ++v) {
          total[m][v] = _mm512_dpbf16_ps(total[m][v], x, w[v]);
        }
      }
    }
  }
  PEFT_UNROLL
  for (int m = 0; m < kBlockRows; ++m) {
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) {
      Store(&sums[m][16 * v], total[m][v]);
    }
  }
}

}  // namespace

const ManyKernels kAvx512Bf16Kernels = {"avx512_bf16", LinearMany,
                                        OutputsAtOnce};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
