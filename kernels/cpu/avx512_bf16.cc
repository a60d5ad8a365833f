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
// Of one call, so that rounding activations costs little.
constexpr int64_t kCallOutputs = 192;
constexpr int64_t kCallGroups = kCallOutputs / kGroup;
// Rows whose activations are rounded together, and how far ahead of them rows
// are fetched.
constexpr int64_t kGroupRows = 192;
constexpr int64_t kRowsAhead = 8;
// How far ahead in each row weights are fetched.
constexpr int64_t kBytesAhead = 1024;
// Inputs at once at most: all that a block reads stays in L2.
constexpr int64_t kMostInputs = 288;
// From one row to the next: 9 cache lines apart, reading eight rows side by
// side was a tenth slower.
constexpr int64_t kInputStride = kMostInputs + kStepInputs;

// What blocks read and write, on the stack.
struct Scratch {
  // Pairs of inputs of the outputs of a group.
  alignas(64) uint32_t panels[kCallGroups][kMostInputs / 2][kGroup];
  alignas(64) uint16_t x[kGroupRows][kInputStride];
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
// Fetches ahead in the rows: what is one block of rows' work is too short for
// NextWeights alone.
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
    __builtin_prefetch(p + kBytesAhead, 0, 2);
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

// One row's activations, filled up with 0 to whole steps. Fetches those that
// are `ahead` floats on: rows may be far apart.
void RoundRow(const float* x, const Slice& slice, int64_t ahead, uint16_t* to) {
  for (int64_t i = 0; i < slice.Steps() * kStepInputs; i += kLanes) {
    __builtin_prefetch(x + i + ahead, 0, 2);
    StoreRounded(to + i, LoadN(x + i, slice.count - i));
  }
}

// y (+)= the sums of a block.
PEFT_INLINE void EndBlock(const F (&sums)[kBlockRows][kBlockVectors],
                          int64_t stride, bool is_first, float* y) {
  PEFT_UNROLL
  for (int m = 0; m < kBlockRows; ++m) {
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) {
      float* const to = y + m * stride + v * kLanes;
      Store(to, is_first ? sums[m][v] : Add(Load(to), sums[m][v]));
    }
  }
}

// The same of a part of one.
void EndPart(const float (*sums)[kBlockOutputs], int64_t rows, int64_t outputs,
             bool is_first, int64_t stride, float* y) {
  for (int64_t m = 0; m < rows; ++m, y += stride) {
    for (int64_t i = 0; i < outputs; ++i) {
      y[i] = is_first ? sums[m][i] : y[i] + sums[m][i];
    }
  }
}

// y (+)= the products of kBlockRows rows from x on, and a block of outputs.
void RunBlock(const LinearTile& tile, const Slice& slice,
              const uint16_t (*x)[kInputStride],
              const uint32_t (*panels)[kMostInputs / 2][kGroup], int64_t row,
              int64_t output) {
  F total[kBlockRows][kBlockVectors];
  PEFT_UNROLL
  for (int m = 0; m < kBlockRows; ++m) {
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) total[m][v] = Set(0);
  }
  for (int64_t i = 0; i < slice.Steps() * kStepPairs; ++i) {
    __m512bh w[kBlockVectors];
    PEFT_UNROLL
    for (int v = 0; v < kBlockVectors; ++v) {
      w[v] = reinterpret_cast<__m512bh>(Load(panels[v][i]));
    }
    PEFT_UNROLL
    for (int m = 0; m < kBlockRows; ++m) {
      int32_t pair;
      __builtin_memcpy(&pair, &x[m][2 * i], sizeof(pair));
      const auto q = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      PEFT_UNROLL
      for (int v = 0; v < kBlockVectors; ++v) {
        total[m][v] = _mm512_dpbf16_ps(total[m][v], q, w[v]);
      }
    }
  }
  const int64_t rows = Least(kBlockRows, tile.rows - row);
  const int64_t outputs = Least(kBlockOutputs, tile.last_output - output);
  float* const y = tile.y + row * tile.y_stride + output;
  if (rows == kBlockRows && outputs == kBlockOutputs) {
    EndBlock(total, tile.y_stride, slice.k == 0, y);
  } else {
    float part[kBlockRows][kBlockOutputs];
    EndBlock(total, kBlockOutputs, /*is_first=*/true, part[0]);
    EndPart(part, rows, outputs, slice.k == 0, tile.y_stride, y);
  }
}

// Fetches the weights of the next slice, or of the first slice of the outputs
// that follow the tile's: some rows of them after each block.
class NextWeights {
 public:
  NextWeights(const LinearTile& tile, const Slice& slice)
      : row_bytes_(2 * tile.terms[0].stride),
        lines_((2 * slice.count + 63) / 64),
        left_(tile.last_output - tile.first_output) {
    const Term& term = tile.terms[0];
    const int64_t next = slice.k + slice.count;
    next_ = static_cast<const char*>(term.weight);
    next_ += next < term.k ? tile.first_output * row_bytes_ + 2 * next
                           : tile.last_output * row_bytes_;
    const int64_t blocks = (tile.rows + kBlockRows - 1) / kBlockRows *
                           ((left_ + kBlockOutputs - 1) / kBlockOutputs);
    rows_of_block_ = (left_ + blocks - 1) / blocks;
  }

  // Inlined, as GCC leaves out calls of a function that only fetches.
  PEFT_INLINE void FetchSome() {
    for (int64_t i = 0; i < rows_of_block_ && left_ > 0; ++i, --left_) {
      for (int64_t line = 0; line < lines_; ++line) {
        __builtin_prefetch(next_ + 64 * line, 0, 2);
      }
      next_ += row_bytes_;
    }
  }

 private:
  const int64_t row_bytes_;
  const int64_t lines_;
  const char* next_;
  int64_t left_;
  int64_t rows_of_block_;
};

void RunRows(const LinearTile& tile, const Slice& slice, Scratch* scratch) {
  const Term& term = tile.terms[0];
  NextWeights next(tile, slice);
  for (int64_t first = 0; first < tile.rows; first += kGroupRows) {
    const int64_t rows = Least(kGroupRows, tile.rows - first);
    for (int64_t m = 0; m < rows; ++m) {
      const float* const x = term.x + (first + m) * term.x_stride + slice.k;
      RoundRow(x, slice, kRowsAhead * term.x_stride, scratch->x[m]);
    }
    for (int64_t o = tile.first_output; o < tile.last_output;
         o += kBlockOutputs) {
      const auto* const panels =
          scratch->panels + (o - tile.first_output) / kGroup;
      for (int64_t m = 0; m < rows; m += kBlockRows) {
        RunBlock(tile, slice, scratch->x + m, panels, first + m, o);
        next.FetchSome();
      }
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
