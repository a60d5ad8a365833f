#include "kernels/testing/random_codes.h"

#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {

RandomCodes::RandomCodes(DType dtype, int64_t rows, int64_t cols, int64_t block,
                         Random& random, bool interleave)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      bytes_(rows * cols * DTypeBits(dtype) / 8 + 1),
      scales_(RandomFloats(rows * cols / block, random)),
      values_(RandomFloats(16, random)),
      codes_{scales_.data(), block, values_.data()} {
  if (dtype != DType::kTable4) {
    for (float& scale : scales_) {
      small_scales_.push_back(F32ToBF16(scale));
      scale = BF16ToF32(small_scales_.back());
    }
    codes_.scales = small_scales_.data();
  }
  for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>(random());
  codes_.interleaved = interleave && dtype != DType::kTable4 && block == 32 &&
                       rows % kRowsTogether == 0;
}

MatrixView RandomCodes::view() const {
  return {bytes_.data() + 1, dtype_, rows_, cols_, cols_, &codes_};
}

double RandomCodes::At(int64_t row, int64_t col) const {
  int64_t block = row * cols_ / codes_.block + col / codes_.block;
  int64_t byte = (row * cols_ + col) * DTypeBits(dtype_) / 8;
  if (codes_.interleaved) {
    const int64_t group = row / 16;
    const int64_t byte_of_row = col * DTypeBits(dtype_) / 8;
    block = (group * cols_ / 32 + col / 32) * 16 + row % 16;
    byte = group * 16 * cols_ * DTypeBits(dtype_) / 8 + byte_of_row / 4 * 64 +
           row % 16 * 4 + byte_of_row % 4;
  }
  const double scale = scales_[block];
  const uint8_t found = bytes_[1 + byte];
  if (dtype_ == DType::kQ8) return scale * static_cast<int8_t>(found);
  const int code = col % 2 == 0 ? found / 16 : found % 16;
  return scale * (dtype_ == DType::kQ4 ? code - 8.0 : values_[code]);
}

}  // namespace kernels
}  // namespace peft
