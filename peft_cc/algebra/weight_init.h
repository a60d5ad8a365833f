// The initialisers that are computed, most of them from the base weight.
#ifndef PEFT_CC_ALGEBRA_WEIGHT_INIT_H_
#define PEFT_CC_ALGEBRA_WEIGHT_INIT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/algebra/lora_factors.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/algebra/torch_generator.h"

namespace peft {

// Weights `w` are (out, in). All fail with INVALID_ARGUMENT (ARGUMENT) where r
// is not in [1, min(out, in)], and as the decompositions do; but for
// OloraFactors and PissaFactors a larger r is min(out, in), as in PEFT.

// With Q of a random (r, r) matrix = QR, and Q_0 its even, Q_1 its odd rows:
// A = (N_1 Q_0)^T / 10 and B = N_2^T Q_1 / 10 for normal N_1 (in, r / 2) and
// N_2 (r / 2, out). B A = 0, as rows of Q are orthogonal. r must be even.
absl::StatusOr<LoraFactors> OrthogonalFactors(int64_t in_features,
                                              int64_t out_features, int64_t r,
                                              TorchGenerator& generator);

// W = QR: B = Q[:, :r], A = R[:r].
absl::StatusOr<LoraFactors> OloraFactors(const Matrix& w, int64_t r);

// From the r largest singular values: B = U sqrt(S / scale),
// A = sqrt(S / scale) V^T, so that scale * B A is W's best approximation.
absl::StatusOr<LoraFactors> PissaFactors(const Matrix& w, int64_t r,
                                         double scale);

// PissaFactors of the decomposition that `torch.svd_lowrank(w, r, niter)`
// makes, with that function's draws.
absl::StatusOr<LoraFactors> PissaNiterFactors(const Matrix& w, int64_t r,
                                              double scale, int num_iterations,
                                              TorchGenerator& generator);

// B = the left singular vectors of the r smallest values, A = 0.
absl::StatusOr<LoraFactors> MicaFactors(const Matrix& w, int64_t r);

// The removal of the r smallest singular values: -U S V^T of those.
absl::StatusOr<BaseChange> SmallestRemoved(const Matrix& w, int64_t r);

// `torch.svd_lowrank(w, rank, niter)`: a range finder with power iterations
// (Halko et al. 2009, algorithm 5.1), and the exact decomposition within that
// range. Draws min(rows, cols) x rank numbers.
absl::StatusOr<SvdDecomposition> RandomSvd(const Matrix& w, int64_t rank,
                                           int num_iterations,
                                           TorchGenerator& generator);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_WEIGHT_INIT_H_
