#include "kernels/testing/random_codes.h"

#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {

RandomCodes::RandomCodes(DType dtype, int64_t rows, int64_t cols, int64_t block,
                         Random& random)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      bytes_(rows * cols * DTypeBits(dtype) / 8 + 1),
      scales_(RandomFloats(rows * cols / block, random)),
      values_(RandomFloats(16, random)),
      codes_{scales_.data(), block, values_.data()} {
  for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>(random());
}

MatrixView RandomCodes::view() const {
  return {bytes_.data() + 1, dtype_, rows_, cols_, cols_, &codes_};
}

double RandomCodes::At(int64_t row, int64_t col) const {
  const int64_t index = row * cols_ + col;
  const double scale = scales_[index / codes_.block];
  if (dtype_ == DType::kQ8) {
    return scale * static_cast<int8_t>(bytes_[1 + index]);
  }
  const int pair = bytes_[1 + index / 2];
  const int code = index % 2 == 0 ? pair / 16 : pair % 16;
  return scale * (dtype_ == DType::kQ4 ? code - 8.0 : values_[code]);
}

}  // namespace kernels
}  // namespace peft
