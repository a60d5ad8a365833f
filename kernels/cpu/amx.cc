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
#define PEFT_TILE_DOT(sums, x, weights) _tile_dpbf16ps(sums, x, weights)
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
constexpr int kExactParts = 3;
constexpr int64_t kBlockRows = 32;
constexpr int64_t kBlockVectors = 2;

#include "kernels/cpu/bf16_avx512.inc"

// clang-format off
#include "kernels/cpu/bf16_many.inc"
#include "kernels/cpu/tile_block.inc"
// clang-format on

// Eight tiles of 16 rows of 64 bytes, in the layout of LDTILECFG.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles belong to the thread, and cost it time at each switch while in use.
void LinearManyWithTiles(const LinearTile& tile) {
  const TileShapes shapes;
  asm volatile("" : : : "memory");
  _tile_loadconfig(&shapes);
  LinearMany(tile);
  _tile_release();
}

}  // namespace

const ManyKernels kAmxKernels = {"amx", LinearManyWithTiles, OutputsAtOnce};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
