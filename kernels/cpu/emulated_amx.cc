// amx.cc's packing and loops over the portable kernels, with tiles in memory:
// for tests on machines without AMX.
#include "kernels/cpu/emulated_amx.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/variants.h"

#define PEFT_TILE_ZERO(tile) Zero(tile)
#define PEFT_TILE_LOAD(tile, p, stride) LoadTile(tile, p, stride)
#define PEFT_TILE_DOT(sums, weights, x) Dot(sums, weights, x)
#define PEFT_TILE_STORE(tile, p, stride) StoreTile(tile, p, stride)

namespace peft {
namespace kernels {
namespace cpu {
namespace {

// clang-format off
#include "kernels/cpu/macros.inc"
#include "kernels/cpu/vec_portable.inc"
#include "kernels/cpu/tiles.inc"
// clang-format on

constexpr const KernelTable& kBase = kPortableKernels;

F UpperHalf(F v) {
  return reinterpret_cast<F>(reinterpret_cast<U32>(v) & 0xffff0000);
}
F RoundedPairs(F a, F b) {
  uint16_t halves[2 * kLanes];
  StoreBF16N(halves, a, kLanes);
  StoreBF16N(halves + kLanes, b, kLanes);
  return Load(halves);
}

union Tile {
  uint16_t halves[16][32];
  float floats[16][16];
};

thread_local Tile tiles[8];

void Zero(int tile) { tiles[tile] = {}; }

void LoadTile(int tile, const void* p, int64_t stride) {
  for (int64_t row = 0; row < 16; ++row) {
    __builtin_memcpy(tiles[tile].halves[row],
                     static_cast<const char*>(p) + row * stride, 64);
  }
}

void StoreTile(int tile, void* p, int64_t stride) {
  for (int64_t row = 0; row < 16; ++row) {
    __builtin_memcpy(static_cast<char*>(p) + row * stride,
                     tiles[tile].floats[row], 64);
  }
}

// The first and the second numbers of kLanes pairs.
Pair Numbers(const uint16_t* pairs) {
  return SplitEvenOdd(LoadBF16N(pairs, kLanes),
                      LoadBF16N(pairs + kLanes, kLanes));
}

// TDPBF16PS: sums[m][n] += the pairs of left[m] times those in column n of
// right.
void Dot(int sums, int left, int right) {
  for (int m = 0; m < 16; ++m) {
    for (int pair = 0; pair < 16; ++pair) {
      const F first = LoadBF16N(&tiles[left].halves[m][2 * pair], 1);
      const F second = LoadBF16N(&tiles[left].halves[m][2 * pair + 1], 1);
      for (int n = 0; n < 16; n += kLanes) {
        float* const to = &tiles[sums].floats[m][n];
        const Pair v = Numbers(tiles[right].halves[pair] + 2 * n);
        const F sum = Fma(Set(first[0]), v.first, Load(to));
        Store(to, Fma(Set(second[0]), v.second, sum));
      }
    }
  }
}

#include "kernels/cpu/tile_many.inc"

void LinearMany(const LinearTile& tile) {
  if (!PacksRows(tile)) return kBase.linear_many(tile);
  LinearRows(tile);
}

}  // namespace

const ManyKernels kEmulatedAmxKernels = {"emulated_amx", LinearMany, nullptr,
                                         PacksRows};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
