#include "peft_cc/algebra/matrix.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status CheckIsMatrix(const Tensor& tensor) {
  if (tensor.rank() >= 2) return absl::OkStatus();
  return ArgumentError(absl::StrCat("a tensor of shape ",
                                    ShapeToString(tensor.shape()),
                                    " is not a matrix: 2 dimensions are "
                                    "needed"));
}

}  // namespace

Matrix ZeroMatrix(int64_t rows, int64_t cols) {
  return {rows, cols, std::vector<double>(rows * cols)};
}

absl::StatusOr<Matrix> MatrixFromTensor(const Tensor& tensor) {
  PEFT_RETURN_IF_ERROR(CheckIsMatrix(tensor));
  PEFT_ASSIGN_OR_RETURN(const Tensor f32, tensor.Cast(DType::kF32));
  const std::vector<float> values = f32.ToF32();
  const int64_t rows = tensor.dim(0);
  const int64_t cols = *CheckedNumElements(tensor.shape().subspan(1));
  return Matrix{rows, cols, {values.begin(), values.end()}};
}

absl::StatusOr<Tensor> TensorFromMatrix(const Matrix& matrix, DType dtype) {
  void* data;
  PEFT_ASSIGN_OR_RETURN(
      Tensor f32,
      Tensor::Allocate(DType::kF32, {matrix.rows, matrix.cols}, &data));
  std::copy(matrix.values.begin(), matrix.values.end(),
            static_cast<float*>(data));
  return f32.Cast(dtype);
}

Matrix Transposed(const Matrix& matrix) {
  Matrix result = ZeroMatrix(matrix.cols, matrix.rows);
  for (int64_t i = 0; i < matrix.rows; ++i) {
    for (int64_t j = 0; j < matrix.cols; ++j) {
      result.row(j)[i] = matrix.row(i)[j];
    }
  }
  return result;
}

Matrix FirstCols(const Matrix& matrix, int64_t count) {
  Matrix result = ZeroMatrix(matrix.rows, count);
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::copy_n(matrix.row(i), count, result.row(i));
  }
  return result;
}

Matrix LastCols(const Matrix& matrix, int64_t count) {
  Matrix result = ZeroMatrix(matrix.rows, count);
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::copy_n(matrix.row(i) + matrix.cols - count, count, result.row(i));
  }
  return result;
}

Matrix FirstRows(const Matrix& matrix, int64_t count) {
  const double* begin = matrix.row(0);
  return {count, matrix.cols, {begin, begin + count * matrix.cols}};
}

Matrix LastRows(const Matrix& matrix, int64_t count) {
  const double* begin = matrix.row(matrix.rows - count);
  return {count, matrix.cols, {begin, begin + count * matrix.cols}};
}

void AppendRows(const Matrix& block, Matrix& matrix) {
  matrix.values.insert(matrix.values.end(), block.values.begin(),
                       block.values.end());
  matrix.rows += block.rows;
  matrix.cols = block.cols;
}

void ScaleCols(absl::Span<const double> factors, Matrix& matrix) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    for (int64_t j = 0; j < matrix.cols; ++j) matrix.row(i)[j] *= factors[j];
  }
}

void ScaleRows(absl::Span<const double> factors, Matrix& matrix) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    for (int64_t j = 0; j < matrix.cols; ++j) matrix.row(i)[j] *= factors[i];
  }
}

}  // namespace peft
