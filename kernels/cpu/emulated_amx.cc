// amx.cc's packing and loops over the portable kernels, with tiles in memory:
// for tests on machines without AMX.
#include "kernels/cpu/emulated_amx.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/variants.h"

#define PEFT_TILE_ZERO(tile) Zero(tile)
#define PEFT_TILE_LOAD(tile, p, stride) LoadTile(tile, p, stride)
#define PEFT_TILE_DOT(sums, x, weights) Dot(sums, x, weights)
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
constexpr int kExactParts = 3;
constexpr int64_t kBlockRows = 32;
constexpr int64_t kBlockVectors = 2;

void PackPairs(const char* w, int64_t stride, int64_t outputs, int64_t inputs,
               uint32_t (*to)[16]) {
  for (int64_t o = 0; o < 16; ++o) {
    for (int64_t p = 0; p < 16; ++p) {
      to[p][o] = 0;
      const int64_t count = inputs - 2 * p;
      if (o >= outputs || count <= 0) continue;
      __builtin_memcpy(&to[p][o], w + o * stride + 4 * p, count == 1 ? 2 : 4);
    }
  }
}

void StoreRounded(void* to, F v) { StoreBF16N(to, v, kLanes); }

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
Pair WeightsOf(const uint16_t* pairs) {
  return SplitEvenOdd(LoadBF16N(pairs, kLanes),
                      LoadBF16N(pairs + kLanes, kLanes));
}

// TDPBF16PS: sums[m][n] += x[m]'s pairs times those in column n of weights.
void Dot(int sums, int x, int weights) {
  for (int m = 0; m < 16; ++m) {
    for (int pair = 0; pair < 16; ++pair) {
      const F first = LoadBF16N(&tiles[x].halves[m][2 * pair], 1);
      const F second = LoadBF16N(&tiles[x].halves[m][2 * pair + 1], 1);
      for (int n = 0; n < 16; n += kLanes) {
        float* const to = &tiles[sums].floats[m][n];
        const Pair w = WeightsOf(tiles[weights].halves[pair] + 2 * n);
        const F sum = Fma(Set(first[0]), w.first, Load(to));
        Store(to, Fma(Set(second[0]), w.second, sum));
      }
    }
  }
}

// clang-format off
#include "kernels/cpu/bf16_many.inc"
#include "kernels/cpu/tile_block.inc"
// clang-format on

}  // namespace

const ManyKernels kEmulatedAmxKernels = {"emulated_amx", LinearMany,
                                         OutputsAtOnce};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
