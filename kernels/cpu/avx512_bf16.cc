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

// A block is kBlockRows rows by kBlockVectors groups of 16 outputs.
constexpr int64_t kBlockRows = 8;
constexpr int64_t kBlockVectors = 3;
constexpr int64_t kGroup = 16;      // outputs whose weights lie together
constexpr int64_t kStepPairs = 16;  // pairs of inputs of a step
constexpr int64_t kStepInputs = 2 * kStepPairs;
constexpr int64_t kBlockOutputs = kGroup * kBlockVectors;
// Of one call, so that splitting activations costs little.
constexpr int64_t kCallOutputs = 192;
constexpr int64_t kCallGroups = kCallOutputs / kGroup;
// Inputs at once at most: all that a block reads stays in L2.
constexpr int64_t kMostInputs = 288;
// From one row's part to the next one's: 9 cache lines apart, reading eight
// rows side by side was a tenth slower.
constexpr int64_t kInputStride = kMostInputs + kStepInputs;

// What blocks read and write, on the stack.
struct Scratch {
  // Pairs of inputs of the outputs of a group.
  alignas(64) uint32_t panels[kCallGroups][kMostInputs / 2][kGroup];
  alignas(64) uint16_t x[kBlockRows][kInputStride];
  alignas(64) float sums[kBlockRows][kBlockOutputs];
};

// Some inputs of a product.
struct Slice {
  int64_t k;
  int64_t count;

  int64_t Steps() const { return (count + kStepInputs - 1) / kStepInputs; }
};

// Of numbers below 2^-126 it makes 0, as products do.
inline void StoreRounded(void* to, F v) {
  const __m256bh rounded = _mm512_cvtneps_pbh(v);
  __builtin_memcpy(to, &rounded, sizeof(rounded));
}

// Up to 32 bf16 weights of up to 16 outputs, transposed as pairs: to[p][o] =
// inputs 2 p and 2 p + 1 of output o; 0 past the end. `stride` is in bytes.
void PackPairs(const char* w, int64_t stride, int64_t outputs, int64_t inputs,
               uint32_t (*to)[16]) {
  const __mmask32 mask =
      inputs >= 32 ? ~__mmask32{0}
                   : static_cast<__mmask32>((uint32_t{1} << inputs) - 1);
  F block[16];
  PEFT_UNROLL
  for (int64_t o = 0; o < 16; ++o) {
    const __mmask32 loaded = o < outputs ? mask : 0;
    const char* const p = o < outputs ? w + o * stride : w;
    block[o] = _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(loaded, p));
    __builtin_prefetch(p + 1024, 0, 2);
  }
  Transpose(block);
  PEFT_UNROLL
  for (int64_t p = 0; p < 16; ++p) {
    Store(reinterpret_cast<float*>(to[p]), block[p]);
  }
}

void PackPanels(const LinearTile& tile, const Slice& slice, Scratch* scratch) {
  const Term& term = tile.terms[0];
  const int64_t outputs = tile.last_output - tile.first_output;
  for (int64_t o = 0; o < outputs; o += kGroup) {
    const char* const w = static_cast<const char*>(term.weight) +
                          2 * ((tile.first_output + o) * term.stride + slice.k);
    for (int64_t i = 0; i < slice.count; i += kStepInputs) {
      PackPairs(w + 2 * i, 2 * term.stride, outputs - o, slice.count - i,
                scratch->panels[o / kGroup] + i / 2);
    }
  }
}

// One row's activations, filled up with 0 to whole steps.
void RoundRow(const float* x, const Slice& slice, uint16_t* to) {
  for (int64_t i = 0; i < slice.Steps() * kStepInputs; i += kLanes) {
    StoreRounded(to + i, LoadN(x + i, slice.count - i));
  }
}

// The sums of a block of outputs from `group` on.
void SumBlock(const Scratch& scratch, int64_t group, int64_t steps,
              float (*sums)[kBlockOutputs]) {
  F total[kBlockRows][kBlockVectors];
  PEFT_UNROLL
  for (int m = 0; m < kBlockRows; ++m) {
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) total[m][v] = Set(0);
  }
  for (int64_t i = 0; i < steps * kStepPairs; ++i) {
    __m512bh w[kBlockVectors];
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) {
      w[v] = reinterpret_cast<__m512bh>(Load(scratch.panels[group + v][i]));
    }
    PEFT_UNROLL
    for (int m = 0; m < kBlockRows; ++m) {
      int32_t pair;
      __builtin_memcpy(&pair, &scratch.x[m][2 * i], sizeof(pair));
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      PEFT_UNROLL
      for (int v = 0; v < kBlockVectors; ++v) {
        total[m][v] = _mm512_dpbf16_ps(total[m][v], x, w[v]);
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

// y (+)= the sums of a block.
void EndBlock(const LinearTile& tile, int64_t row, int64_t output, int64_t rows,
              const Slice& slice, const Scratch& scratch) {
  const int64_t outputs =
      Least(kBlockOutputs, tile.last_output - tile.first_output - output);
  for (int64_t m = 0; m < rows; ++m) {
    float* const y =
        tile.y + (row + m) * tile.y_stride + tile.first_output + output;
    for (int64_t i = 0; i < outputs; i += kLanes) {
      F value = Load(&scratch.sums[m][i]);
      if (slice.k > 0) value = Add(LoadN(y + i, outputs - i), value);
      StoreN(y + i, value, outputs - i);
    }
  }
}

// Fetches the inputs of the block of rows that comes next, a part of them for
// each block of outputs. Inlined, as GCC leaves out calls of a function that
// only fetches.
PEFT_INLINE void FetchRows(const LinearTile& tile, const Slice& slice,
                           int64_t row, int64_t output, int64_t outputs) {
  const Term& term = tile.terms[0];
  const int64_t rows = Least(kBlockRows, tile.rows - row);
  const int64_t first = slice.count * output / outputs;
  const int64_t end =
      slice.count * Least(output + kBlockOutputs, outputs) / outputs;
  constexpr int64_t kLine = 16;  // floats of a cache line
  for (int64_t m = 0; m < rows; ++m) {
    const float* const x = term.x + (row + m) * term.x_stride + slice.k;
    for (int64_t i = first; i < end; i += kLine) {
      __builtin_prefetch(x + i, 0, 2);
    }
  }
}

void RunRows(const LinearTile& tile, const Slice& slice, Scratch* scratch) {
  const Term& term = tile.terms[0];
  const int64_t outputs = tile.last_output - tile.first_output;
  for (int64_t row = 0; row < tile.rows; row += kBlockRows) {
    const int64_t rows = Least(kBlockRows, tile.rows - row);
    for (int64_t m = 0; m < rows; ++m) {
      RoundRow(term.x + (row + m) * term.x_stride + slice.k, slice,
               scratch->x[m]);
    }
    for (int64_t o = 0; o < outputs; o += kBlockOutputs) {
      FetchRows(tile, slice, row + kBlockRows, o, outputs);
      SumBlock(*scratch, o / kGroup, slice.Steps(), scratch->sums);
      EndBlock(tile, row, o, rows, slice, *scratch);
    }
  }
}

// How many of k inputs are taken at once: about the same each, whole steps.
int64_t InputsAtOnce(int64_t k) {
  const int64_t slices = (k + kMostInputs - 1) / kMostInputs;
  return ((k + slices - 1) / slices + kStepInputs - 1) / kStepInputs *
         kStepInputs;
}

void RunTile(const LinearTile& tile) {
  Scratch scratch;
  const int64_t k = tile.terms[0].k;
  const int64_t at_once = InputsAtOnce(k);
  for (int64_t first = 0; first < k; first += at_once) {
    const Slice slice = {first, Least(at_once, k - first)};
    PackPanels(tile, slice, &scratch);
    RunRows(tile, slice, &scratch);
  }
  RunRest(tile, kBase.linear_many);
}

bool Fits(const LinearTile& tile) {
  return tile.round_inputs && tile.scale == 1.0f && IsBf16Product(tile) &&
         tile.last_output - tile.first_output >= kGroup;
}

int64_t OutputsAtOnce(const LinearTile& tile) {
  return Fits(tile) ? kCallOutputs : kBase.outputs_at_once(tile);
}

void LinearMany(const LinearTile& tile) {
  if (!Fits(tile)) return kBase.linear_many(tile);
  LinearTile part = tile;
  for (int64_t o = tile.first_output; o < tile.last_output; o += kCallOutputs) {
    part.first_output = o;
    part.last_output = Least(o + kCallOutputs, tile.last_output);
    RunTile(part);
  }
}

}  // namespace

const ManyKernels kAvx512Bf16Kernels = {"avx512_bf16", LinearMany,
                                        OutputsAtOnce, nullptr};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
