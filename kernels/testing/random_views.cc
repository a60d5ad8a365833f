#include "kernels/testing/random_views.h"

#include <cassert>
#include <cmath>
#include <limits>

#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

std::vector<float> RandomFloats(int64_t count, Random& random) {
  std::normal_distribution<float> normal;
  std::vector<float> result(count);
  for (float& value : result) value = normal(random);
  return result;
}

RandomMatrix::RandomMatrix(DType dtype, int64_t rows, int64_t cols,
                           Random& random, bool aligned)
    : dtype_(dtype),
      rows_(rows),
      cols_(cols),
      stride_(aligned ? cols : cols + 3),
      bytes_(rows * stride_ * DTypeSize(dtype) + 128),
      offset_(0),
      values_(rows * cols) {
  const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
  offset_ = (64 - address % 64) + (aligned ? 0 : 1);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t gap = cols; gap < stride_; ++gap) {
      ConvertFromF32(&kNan, 1, dtype, Address(row, gap));
    }
    const std::vector<float> values = RandomFloats(cols, random);
    for (int64_t col = 0; col < cols; ++col) Set(row, col, values[col]);
  }
}

MatrixView RandomMatrix::view() const {
  return {bytes_.data() + offset_, dtype_, rows_, cols_, stride_};
}

VectorView RandomMatrix::vector() const {
  return {bytes_.data() + offset_, dtype_, cols_};
}

float RandomMatrix::At(int64_t row, int64_t col) const {
  return values_[row * cols_ + col];
}

void RandomMatrix::Set(int64_t row, int64_t col, float value) {
  char* const address = Address(row, col);
  ConvertFromF32(&value, 1, dtype_, address);
  ConvertToF32(dtype_, address, 1, &values_[row * cols_ + col]);
}

char* RandomMatrix::Address(int64_t row, int64_t col) {
  return bytes_.data() + offset_ + (row * stride_ + col) * DTypeSize(dtype_);
}

RandomRows::RandomRows(int64_t rows, int64_t cols, int64_t gap, Random& random)
    : rows_(rows),
      cols_(cols),
      stride_(cols + gap),
      data_(rows * stride_, kNan) {
  const std::vector<float> values = RandomFloats(rows * cols, random);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      At(row, col) = values[row * cols + col];
    }
  }
}

Rows RandomRows::view() { return {data_.data(), rows_, cols_, stride_}; }

float RandomRows::At(int64_t row, int64_t col) const {
  return data_[row * stride_ + col];
}

float& RandomRows::At(int64_t row, int64_t col) {
  return data_[row * stride_ + col];
}

bool RandomRows::GapsAreUntouched() const {
  for (int64_t row = 0; row < rows_; ++row) {
    for (int64_t col = cols_; col < stride_; ++col) {
      if (!std::isnan(At(row, col))) return false;
    }
  }
  return true;
}

}  // namespace kernels
}  // namespace peft
