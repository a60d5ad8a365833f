#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/algebra/krylov_svd.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Below this size, and for a larger share of all values, Svd is faster.
constexpr int64_t kSmallSize = 256;
constexpr int64_t kRankDivisor = 32;

absl::Status CheckRank(const Matrix& matrix, int64_t rank) {
  const int64_t max_rank = std::min(matrix.rows, matrix.cols);
  if (1 <= rank && rank <= max_rank) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("a matrix of ", matrix.rows, " x ", matrix.cols,
                   " elements has ", max_rank, " singular values, not ", rank),
      {"rank", absl::StrCat("1 to ", max_rank), absl::StrCat(rank)});
}

}  // namespace

absl::StatusOr<SvdDecomposition> TopSvd(const Matrix& matrix, int64_t rank) {
  PEFT_RETURN_IF_ERROR(CheckDecomposable(matrix));
  PEFT_RETURN_IF_ERROR(CheckRank(matrix, rank));
  const int64_t size = std::min(matrix.rows, matrix.cols);
  if (size >= kSmallSize && rank <= size / kRankDivisor) {
    PEFT_ASSIGN_OR_RETURN(std::optional<SvdDecomposition> top,
                          KrylovSvd(matrix, rank));
    if (top.has_value()) return *std::move(top);
  }
  PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd, Svd(matrix));
  svd.u = FirstCols(svd.u, rank);
  svd.s.resize(rank);
  svd.vt = FirstRows(svd.vt, rank);
  return svd;
}

}  // namespace peft
