// The kernels for x86 with AVX2, FMA and F16C; compiled with these flags.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_VECTORS "kernels/cpu/vec_avx2.inc"

namespace peft {
namespace kernels {
namespace cpu {

#include "kernels/cpu/variant.inc"

const KernelTable kAvx2Kernels = variant::Table("avx2");

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
