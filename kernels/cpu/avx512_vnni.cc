// The kernels for x86 with AVX-512 F, BW, VL, DQ and VNNI; compiled with these
// flags.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_VECTORS "kernels/cpu/vec_avx512.inc"

namespace peft {
namespace kernels {
namespace cpu {

#include "kernels/cpu/variant.inc"

const KernelTable kAvx512VnniKernels = variant::Table("avx512_vnni");

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
