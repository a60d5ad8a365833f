// A matrix as the product of two thin ones.
#ifndef PEFT_CC_ALGEBRA_LOW_RANK_FIT_H_
#define PEFT_CC_ALGEBRA_LOW_RANK_FIT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/algebra/matrix.h"

namespace peft {

// a (r, cols), b (rows, r).
struct MatrixFactors {
  Matrix a;
  Matrix b;
};

// The best approximation of rank r = min(rank, rows, cols): a = V^T, b = U S of
// the largest singular values. With `clamp`, in [0, 1], both are then clamped
// to +-q, where q is this quantile of all their elements together, as PEFT's
// svd_clamp does. As q is of signed elements, it depends on the signs of
// singular vectors, which LAPACK chooses for PEFT and linear_algebra.h for us.
// INVALID_ARGUMENT (ARGUMENT) for a clamp out of range, and as TopSvd.
absl::StatusOr<MatrixFactors> FitLowRank(const Matrix& matrix, int64_t rank,
                                         std::optional<double> clamp);

// `torch.quantile(values, q)` of f32: linear interpolation between the two
// neighbours. `values` has an element at least, q is in [0, 1].
float Quantile(std::vector<float> values, double q);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_LOW_RANK_FIT_H_
