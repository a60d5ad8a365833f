// Products and decompositions of dense matrices, in f64. One thread.
//
// Singular vectors are determined up to their sign only (and, for repeated
// singular values, up to a rotation). Here each left singular vector has its
// sign such that its element of largest magnitude, the first of equals, is
// positive: results do not depend on the algorithm. LAPACK has other signs.
#ifndef PEFT_CC_ALGEBRA_LINEAR_ALGEBRA_H_
#define PEFT_CC_ALGEBRA_LINEAR_ALGEBRA_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/algebra/matrix.h"

namespace peft {

// a b, where a.cols == b.rows.
Matrix Product(const Matrix& a, const Matrix& b);

// a b^T, where a.cols == b.cols.
Matrix ProductTransposed(const Matrix& a, const Matrix& b);

// matrix = q r with k = min(rows, cols): q (rows, k) has orthonormal columns,
// r (k, cols) is upper triangular.
struct QrDecomposition {
  Matrix q;
  Matrix r;
};

// matrix = u diag(s) vt: u (rows, k) has orthonormal columns, vt (k, cols)
// orthonormal rows, s is >= 0 and falls.
struct SvdDecomposition {
  Matrix u;
  std::vector<double> s;
  Matrix vt;
};

// INVALID_ARGUMENT (ARGUMENT) for a matrix that has no elements, or some that
// are infinite or NaN; so fail all decompositions below.
absl::Status CheckDecomposable(const Matrix& matrix);

// By Householder reflections with LAPACK's signs: equal to `torch.linalg.qr`.
absl::StatusOr<QrDecomposition> Qr(const Matrix& matrix);

// The thin decomposition, k = min(rows, cols): `torch.linalg.svd(matrix,
// full_matrices=False)` but for the signs. About 2 s for 1024 x 1024, which
// grows with the third power.
absl::StatusOr<SvdDecomposition> Svd(const Matrix& matrix);

// The same values without the vectors, in half the time.
absl::StatusOr<std::vector<double>> SingularValues(const Matrix& matrix);

// The `rank` largest singular values and their vectors, 1 <= rank <=
// min(rows, cols): the first ones of Svd, but much faster where rank is small.
// Each triple is exact for a matrix that differs from the given one by at most
// 1e-11 of its norm (1e-7 for values below a thousandth of the largest).
// INVALID_ARGUMENT (ARGUMENT) also for a rank out of range.
absl::StatusOr<SvdDecomposition> TopSvd(const Matrix& matrix, int64_t rank);

// Flips the signs of pairs of singular vectors to those described above.
void FixSigns(SvdDecomposition& svd);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_LINEAR_ALGEBRA_H_
