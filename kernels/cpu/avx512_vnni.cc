// Products of few rows for x86 with AVX-512 and VNNI, which multiplies and adds
// bytes in one instruction; compiled with these flags. Of the kernels here the
// compiler keeps what these products call.
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

const FewKernels kAvx512VnniKernels = {"avx512_vnni", variant::LinearFew,
                                       variant::PackedInputs,
                                       variant::PackInputs};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
