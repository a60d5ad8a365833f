// Products in double, to compare with.
#ifndef KERNELS_CUDA_LT_TESTING_REFERENCE_H_
#define KERNELS_CUDA_LT_TESTING_REFERENCE_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/lt/gemm.h"
#include "kernels/cuda/lt/testing/test_device.h"

namespace peft {
namespace kernels {
namespace cuda {

// A matrix of double without gaps.
struct Exact {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<double> values;

  Exact(int64_t rows_in, int64_t cols_in)
      : rows(rows_in), cols(cols_in), values(rows_in * cols_in) {}
  double& at(int64_t row, int64_t col) { return values[row * cols + col]; }
  double at(int64_t row, int64_t col) const { return values[row * cols + col]; }
};

inline Exact ExactOf(const TestMatrix& matrix) {
  Exact result(matrix.device.rows, matrix.device.cols);
  std::copy(matrix.values.begin(), matrix.values.end(), result.values.begin());
  return result;
}

inline Exact Transposed(const Exact& matrix) {
  Exact result(matrix.cols, matrix.rows);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    for (int64_t col = 0; col < matrix.cols; ++col) {
      result.at(col, row) = matrix.at(row, col);
    }
  }
  return result;
}

inline Exact Times(const Exact& left, const Exact& right) {
  Exact result(left.rows, right.cols);
  for (int64_t row = 0; row < left.rows; ++row) {
    for (int64_t i = 0; i < left.cols; ++i) {
      for (int64_t col = 0; col < right.cols; ++col) {
        result.at(row, col) += left.at(row, i) * right.at(i, col);
      }
    }
  }
  return result;
}

// left + factor right.
inline Exact Plus(Exact left, const Exact& right, double factor = 1) {
  for (size_t i = 0; i < left.values.size(); ++i) {
    left.values[i] += factor * right.values[i];
  }
  return left;
}

inline Exact Activated(Exact matrix, GemmActivation activation) {
  for (double& x : matrix.values) {
    if (activation == GemmActivation::kRelu) x = std::max(x, 0.0);
    if (activation == GemmActivation::kGeluTanh) {
      const double inner = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
      x = 0.5 * x * (1 + std::tanh(inner));
    }
  }
  return matrix;
}

// Of numbers stored in `dtype`, relative to the largest in a sum of `roundings`
// of them.
inline double ToleranceOf(DType dtype, int roundings) {
  double epsilon = 1e-5;
  if (dtype == DType::kBF16) epsilon = 1.0 / 256;
  if (dtype == DType::kF16) epsilon = 1.0 / 2048;
  return epsilon * roundings;
}

// That what is on the device is `expected`, within `tolerance` of its largest
// number.
inline void ExpectNear(TestDevice* device, TestMatrix* found,
                       const Exact& expected, double tolerance) {
  found->Fetch(device);
  double largest = 0;
  for (double value : expected.values) {
    largest = std::max(largest, std::abs(value));
  }
  for (int64_t row = 0; row < expected.rows; ++row) {
    for (int64_t col = 0; col < expected.cols; ++col) {
      // Not EXPECT_NEAR: NaN must fail, once.
      ASSERT_LE(std::abs(found->at(row, col) - expected.at(row, col)),
                tolerance * largest)
          << "row " << row << ", column " << col << " is "
          << found->at(row, col) << ", expected " << expected.at(row, col);
    }
  }
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_TESTING_REFERENCE_H_
