#include "kernels/quantize.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kBlock = kCodesAtOnce;
// Blocks of one piece of work: some microseconds.
constexpr int64_t kPieceBlocks = 512;

// Where byte `byte` of the codes of row `row` is; a row has `stride` of them.
int64_t ByteAt(bool interleaved, int64_t row, int64_t byte, int64_t stride) {
  if (!interleaved) return row * stride + byte;
  const int64_t word = byte / 4 * kRowsTogether + row % kRowsTogether;
  return row / kRowsTogether * kRowsTogether * stride + word * 4 + byte % 4;
}

// The same for the scale of a block.
int64_t ScaleAt(bool interleaved, int64_t row, int64_t block, int64_t stride) {
  if (!interleaved) return row * stride + block;
  return (row / kRowsTogether * stride + block) * kRowsTogether +
         row % kRowsTogether;
}

// The value of element `index` whose code is in `byte`, without its scale.
float ValueOf(const MatrixView& matrix, uint8_t byte, int64_t index) {
  if (matrix.dtype == DType::kQ8) {
    return static_cast<float>(static_cast<int8_t>(byte));
  }
  const int code = index % 2 == 0 ? byte >> 4 : byte & 15;
  return matrix.dtype == DType::kQ4 ? static_cast<float>(code - 8)
                                    : matrix.codes->values[code];
}

// The scale at place `index` of those of `matrix`.
float ScaleOf(const MatrixView& matrix, int64_t index) {
  const void* const scales = matrix.codes->scales;
  if (matrix.dtype == DType::kTable4) {
    return static_cast<const float*>(scales)[index];
  }
  uint16_t scale;
  std::memcpy(&scale, static_cast<const char*>(scales) + index * sizeof(scale),
              sizeof(scale));
  return BF16ToF32(scale);
}

// Blocks may go over the ends of rows.
void DequantizeInOrder(const MatrixView& matrix, int64_t first, int64_t count,
                       float* out) {
  const auto* const codes = static_cast<const uint8_t*>(matrix.data);
  const int64_t bits = DTypeBits(matrix.dtype);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = first + i;
    out[i] = ValueOf(matrix, codes[index * bits / 8], index) *
             ScaleOf(matrix, index / matrix.codes->block);
  }
}

void DequantizeInterleaved(const MatrixView& matrix, int64_t first,
                           int64_t count, float* out) {
  const auto* const codes = static_cast<const uint8_t*>(matrix.data);
  const int64_t bits = DTypeBits(matrix.dtype);
  const int64_t block = matrix.codes->block;
  int64_t row = first / matrix.cols;
  int64_t col = first - row * matrix.cols;
  float scale = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (i == 0 || col % block == 0) {
      scale = ScaleOf(matrix, ScaleAt(/*interleaved=*/true, row, col / block,
                                      matrix.cols / block));
    }
    const int64_t byte = ByteAt(/*interleaved=*/true, row, col * bits / 8,
                                matrix.cols * bits / 8);
    out[i] = ValueOf(matrix, codes[byte], col) * scale;
    if (++col < matrix.cols) continue;
    col = 0;
    ++row;
  }
}

// Below this a scale could have no inverse: a block of such numbers is zeros.
constexpr float kSmallest = 1e-35f;

// The element of the largest magnitude, or 0 for one that is too small; NaN or
// an infinity if there is one.
float Extreme(const float* x) {
  float extreme = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    if (!std::isfinite(x[i])) return x[i];
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  return std::abs(extreme) < kSmallest ? 0 : extreme;
}

// x * inverse to the nearest code.
void Round(const float* x, float inverse, float least, float most,
           float* codes) {
  // Adding 1.5 * 2^23 leaves no bits for a fraction.
  constexpr float kMagic = 12582912.0f;
  for (int64_t i = 0; i < kBlock; ++i) {
    const float rounded = (x[i] * inverse + kMagic) - kMagic;
    codes[i] = std::min(std::max(rounded, least), most);
  }
}

// A scale as it is stored: to nearest, unless a code of magnitude `most` would
// be infinite then.
uint16_t StoredScale(float scale, float most) {
  uint16_t stored = F32ToBF16(scale);
  while (!std::isfinite(BF16ToF32(stored) * most)) --stored;  // towards 0
  return stored;
}

// Returns the scale, as QuantizeQ4 does.
uint16_t QuantizeQ8(const float* x, float extreme, uint8_t* out) {
  const uint16_t stored = StoredScale(std::abs(extreme) / 127, 127);
  const float scale = BF16ToF32(stored);
  float codes[kBlock];
  Round(x, scale == 0 ? 0 : 1 / scale, -127, 127, codes);
  for (int64_t i = 0; i < kBlock; ++i) {
    out[i] = static_cast<uint8_t>(static_cast<int8_t>(codes[i]));
  }
  return stored;
}

// The extreme goes to about -8. With codes c the best scale is xc / cc, and
// leaves xx - xc^2 / cc.
uint16_t QuantizeQ4(const float* x, float extreme, uint8_t* out) {
  if (extreme == 0) {
    std::fill_n(out, kBlock / 2, uint8_t{0x88});
    return 0;
  }
  float best[kBlock] = {};
  float best_scale = 0;
  float most_explained = 0;
  for (const float end : {-7.0f, -7.4f, -7.8f, -8.0f, -8.4f, -8.8f}) {
    float codes[kBlock];
    Round(x, end / extreme, -8, 7, codes);
    float xc = 0;
    float cc = 0;
    for (int64_t i = 0; i < kBlock; ++i) {
      xc += x[i] / extreme * codes[i];
      cc += codes[i] * codes[i];
    }
    if (!(xc * xc / cc > most_explained)) continue;
    most_explained = xc * xc / cc;
    best_scale = xc / cc * extreme;
    std::copy_n(codes, kBlock, best);
  }
  float most = 0;
  for (const float code : best) most = std::max(most, std::abs(code));
  for (int64_t i = 0; i < kBlock; i += 2) {
    const int high = static_cast<int>(best[i]) + 8;
    const int low = static_cast<int>(best[i + 1]) + 8;
    out[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return StoredScale(best_scale, most);
}

}  // namespace

void Dequantize(const MatrixView& matrix, int64_t first, int64_t count,
                float* out) {
  if (matrix.codes->interleaved) {
    DequantizeInterleaved(matrix, first, count, out);
  } else {
    DequantizeInOrder(matrix, first, count, out);
  }
}

bool IsInterleaved(int64_t rows) { return rows % kRowsTogether == 0; }

bool Quantize(const MatrixView& weight, DType format, void* codes,
              uint16_t* scales, ThreadPool& pool) {
  assert(weight.stride == weight.cols && weight.cols % kBlock == 0);
  const bool interleaved = IsInterleaved(weight.rows);
  const int64_t row_blocks = weight.cols / kBlock;
  const int64_t blocks = weight.rows * row_blocks;
  const int64_t bytes = kBlock * DTypeBits(format) / 8;
  std::atomic<bool> is_finite{true};
  pool.ParallelFor((blocks + kPieceBlocks - 1) / kPieceBlocks, [&](int64_t p) {
    const int64_t last = std::min(blocks, (p + 1) * kPieceBlocks);
    for (int64_t b = p * kPieceBlocks; b < last; ++b) {
      float x[kBlock];
      cpu::Kernels().to_f32(ElemOf(weight.dtype),
                            static_cast<const char*>(weight.data) +
                                b * kBlock * DTypeSize(weight.dtype),
                            kBlock, x);
      const float extreme = Extreme(x);
      if (!std::isfinite(extreme)) {
        is_finite.store(false, std::memory_order_relaxed);
        continue;
      }
      const int64_t row = b / row_blocks;
      const int64_t block = b % row_blocks;
      uint8_t out[kBlock];
      scales[ScaleAt(interleaved, row, block, row_blocks)] =
          format == DType::kQ8 ? QuantizeQ8(x, extreme, out)
                               : QuantizeQ4(x, extreme, out);
      for (int64_t i = 0; i < bytes; i += 4) {
        std::memcpy(
            static_cast<char*>(codes) +
                ByteAt(interleaved, row, block * bytes + i, row_blocks * bytes),
            out + i, 4);
      }
    }
  });
  return is_finite.load();
}

}  // namespace kernels
}  // namespace peft
