#include "peft_cc/algebra/low_rank_fit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// torch.clamp: where the limits are the wrong way round, the upper one wins.
void Clamp(float limit, Matrix& matrix) {
  for (double& value : matrix.values) {
    value = std::min(std::max(static_cast<float>(value), -limit), limit);
  }
}

void ClampToQuantile(double q, MatrixFactors& factors) {
  std::vector<float> all(factors.b.values.begin(), factors.b.values.end());
  all.insert(all.end(), factors.a.values.begin(), factors.a.values.end());
  const float limit = Quantile(std::move(all), q);
  Clamp(limit, factors.a);
  Clamp(limit, factors.b);
}

// torch.lerp: exact at both ends.
float Interpolate(float low, float high, float weight) {
  const float width = high - low;
  return weight < 0.5f ? low + weight * width : high - width * (1 - weight);
}

}  // namespace

absl::StatusOr<MatrixFactors> FitLowRank(const Matrix& matrix, int64_t rank,
                                         std::optional<double> clamp) {
  if (clamp.has_value() && !(0 <= *clamp && *clamp <= 1)) {
    return ArgumentError(
        absl::StrCat("svd_clamp is ", *clamp, ", not in [0, 1]"),
        {"svd_clamp", "0 to 1", absl::StrCat(*clamp)});
  }
  PEFT_ASSIGN_OR_RETURN(
      SvdDecomposition svd,
      TopSvd(matrix, std::min({rank, matrix.rows, matrix.cols})));
  ScaleCols(svd.s, svd.u);
  MatrixFactors factors = {std::move(svd.vt), std::move(svd.u)};
  if (clamp.has_value()) ClampToQuantile(*clamp, factors);
  return factors;
}

float Quantile(std::vector<float> values, double q) {
  std::sort(values.begin(), values.end());
  // Torch computes the position in f32 too.
  const float position =
      static_cast<float>(q) * static_cast<float>(values.size() - 1);
  const size_t last = values.size() - 1;
  const size_t below = std::min(static_cast<size_t>(position), last);
  const size_t above = std::min(static_cast<size_t>(std::ceil(position)), last);
  return Interpolate(values[below], values[above],
                     position - static_cast<float>(below));
}

}  // namespace peft
