// Products of few rows for x86 with AVX-512 and VNNI, which multiplies and adds
// bytes in one instruction; compiled with these flags.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

namespace peft {
namespace kernels {
namespace cpu {
namespace {
namespace variant {

// clang-format off
#include "kernels/cpu/macros.inc"
#include "kernels/cpu/vec_avx512.inc"
#include "kernels/cpu/tiles.inc"
#include "kernels/cpu/elements.inc"
#include "kernels/cpu/codes.inc"
#include "kernels/cpu/packed_inputs.inc"
#include "kernels/cpu/interleaved.inc"
// clang-format on

// Only interleaved codes are multiplied as bytes.
void LinearFew(const LinearTile& tile) {
  if (tile.num_terms == 0 || !tile.terms[0].interleaved) {
    return kAvx512Kernels.linear_few(tile);
  }
  AddInterleavedTerm(tile);
  RunRest(tile, kAvx512Kernels.linear_few);
}

}  // namespace variant
}  // namespace

const FewKernels kAvx512VnniKernels = {"avx512_vnni", variant::LinearFew};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
