// A dense matrix of f64: what the linear algebra of initialisers and of
// combinations computes with, whatever the tensors are stored in.
#ifndef PEFT_CC_ALGEBRA_MATRIX_H_
#define PEFT_CC_ALGEBRA_MATRIX_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Row-major; values.size() == rows * cols. Either dimension may be 0.
struct Matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<double> values;

  double* row(int64_t i) { return values.data() + i * cols; }
  const double* row(int64_t i) const { return values.data() + i * cols; }
};

// A matrix of zeros.
Matrix ZeroMatrix(int64_t rows, int64_t cols);

// A tensor of any real dtype as a matrix: the first dimension are the rows, the
// others together the columns, as `flatten(start_dim=1)`. Fails with
// INVALID_ARGUMENT (TENSOR_DTYPE, or ARGUMENT for fewer than 2 dimensions).
absl::StatusOr<Matrix> MatrixFromTensor(const Tensor& tensor);

// A new (rows, cols) tensor of kF32, kF16 or kBF16, rounded by way of f32.
absl::StatusOr<Tensor> TensorFromMatrix(const Matrix& matrix, DType dtype);

Matrix Transposed(const Matrix& matrix);

// Copies of the first or last `count` <= cols columns or rows.
Matrix FirstCols(const Matrix& matrix, int64_t count);
Matrix LastCols(const Matrix& matrix, int64_t count);
Matrix FirstRows(const Matrix& matrix, int64_t count);
Matrix LastRows(const Matrix& matrix, int64_t count);

// Adds the rows of `block` below those of `matrix`, which have as many columns,
// or which has no elements at all.
void AppendRows(const Matrix& block, Matrix& matrix);

// Multiplies column j, or row i, by the factor of that index.
void ScaleCols(absl::Span<const double> factors, Matrix& matrix);
void ScaleRows(absl::Span<const double> factors, Matrix& matrix);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_MATRIX_H_
