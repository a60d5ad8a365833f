// Products of bf16 weights for x86 with AMX; compiled with its flags. Tiles
// multiply sixteen times as many bf16 numbers as vectors do floats, so that
// three parts of an activation, which are all of it, are faster than f32.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_TILE_ZERO(tile) _tile_zero(tile)
#define PEFT_TILE_LOAD(tile, p, stride) _tile_loadd(tile, p, stride)
#define PEFT_TILE_DOT(sums, weights, x) _tile_dpbf16ps(sums, weights, x)
#define PEFT_TILE_STORE(tile, p, stride) _tile_stored(tile, p, stride)

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

inline F UpperHalf(F v) {
  return _mm512_castsi512_ps(_mm512_and_si512(
      _mm512_castps_si512(v), _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}
// Of numbers below 2^-126 it makes 0, as products do.
inline F RoundedPairs(F a, F b) {
  const __m512bh rounded = _mm512_cvtne2ps_pbh(b, a);
  F pairs;
  __builtin_memcpy(&pairs, &rounded, sizeof(pairs));
  return pairs;
}

#include "kernels/cpu/tile_many.inc"

// Eight tiles of 16 rows of 64 bytes, in the layout of LDTILECFG.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles belong to the thread, and cost it time at each switch while in use.
void LinearMany(const LinearTile& tile) {
  if (!PacksRows(tile)) return kBase.linear_many(tile);
  const TileShapes shapes;
  asm volatile("" : : : "memory");
  _tile_loadconfig(&shapes);
  LinearRows(tile);
  _tile_release();
}

}  // namespace

const ManyKernels kAmxKernels = {"amx", LinearMany, nullptr, PacksRows};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
