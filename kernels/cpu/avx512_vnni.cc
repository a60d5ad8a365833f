// Products of few rows for x86 with AVX-512 and VNNI, which multiplies and adds
// bytes in one instruction; compiled with these flags. Of the kernels here the
// compiler keeps what these products call.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_VECTORS "kernels/cpu/vec_avx512.inc"
#define PEFT_CODES_FIRST

namespace peft {
namespace kernels {
namespace cpu {

#include "kernels/cpu/variant.inc"

namespace {

// Without codes there are no bytes to multiply: the same loops stand in
// AVX-512's own file, and those for long rows only there.
void LinearFew(const LinearTile& tile) {
  const bool has_codes = tile.num_terms > 0 && tile.terms[0].elem > kElemF16;
  has_codes ? variant::LinearFew(tile) : kAvx512Kernels.linear_few(tile);
}

}  // namespace

const FewKernels kAvx512VnniKernels = {
    "avx512_vnni", LinearFew, variant::PackedInputs, variant::PackInputs};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
