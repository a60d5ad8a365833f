// The iterative method behind TopSvd.
#ifndef PEFT_CC_ALGEBRA_KRYLOV_SVD_H_
#define PEFT_CC_ALGEBRA_KRYLOV_SVD_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/algebra/matrix.h"

namespace peft {

// The top singular values and vectors by a block Krylov method (block Lanczos
// with full orthogonalisation): the blocks Q_0 = orth(A G), Q_{j+1} =
// orth(A A^T Q_j) span a space that holds them to full accuracy long before it
// is the whole one. Blocks are wider than the rank, so that no repeated value
// is missed. G is random with a fixed seed.
//
// Nullopt where the space would become so large that Svd is faster, or where
// the method fails, as it can where A has fewer than `rank` directions. `a` is
// as TopSvd wants it.
absl::StatusOr<std::optional<SvdDecomposition>> KrylovSvd(const Matrix& a,
                                                          int64_t rank);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_KRYLOV_SVD_H_
