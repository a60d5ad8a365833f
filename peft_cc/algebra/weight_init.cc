#include "peft_cc/algebra/weight_init.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status CheckRank(const Matrix& w, int64_t r) {
  const int64_t max_rank = std::min(w.rows, w.cols);
  if (1 <= r && r <= max_rank) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("this initialisation needs a rank from 1 to the smaller "
                   "side of the weight, ",
                   max_rank, ", but r is ", r),
      {"r", absl::StrCat("1 to ", max_rank), absl::StrCat(r)});
}

int64_t RankWithin(const Matrix& w, int64_t r) {
  return std::min({r, w.rows, w.cols});
}

absl::StatusOr<LoraFactors> ToFactors(const Matrix& a, const Matrix& b) {
  LoraFactors factors;
  PEFT_ASSIGN_OR_RETURN(factors.a, TensorFromMatrix(a, DType::kF32));
  PEFT_ASSIGN_OR_RETURN(factors.b, TensorFromMatrix(b, DType::kF32));
  return factors;
}

// `torch.randn(rows, cols)`.
Matrix RandomMatrix(int64_t rows, int64_t cols, TorchGenerator& generator) {
  std::vector<float> draws(rows * cols);
  generator.Normal(0, 1, absl::MakeSpan(draws));
  return {rows, cols, {draws.begin(), draws.end()}};
}

// Every second row.
Matrix AlternateRows(const Matrix& matrix, int64_t first) {
  Matrix result = ZeroMatrix(matrix.rows / 2, matrix.cols);
  for (int64_t i = 0; i < result.rows; ++i) {
    std::copy_n(matrix.row(2 * i + first), matrix.cols, result.row(i));
  }
  return result;
}

void Divide(double divisor, Matrix& matrix) {
  for (double& value : matrix.values) value /= divisor;
}

absl::StatusOr<LoraFactors> SplitEvenly(SvdDecomposition svd, double scale) {
  std::vector<double> roots;
  for (const double s : svd.s) roots.push_back(std::sqrt(s / scale));
  ScaleCols(roots, svd.u);
  ScaleRows(roots, svd.vt);
  return ToFactors(svd.vt, svd.u);
}

// A negative scale would need the root of a negative number.
absl::Status CheckScale(double scale) {
  if (scale > 0 && std::isfinite(scale)) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("PiSSA needs lora_alpha above 0, but the scale is ", scale),
      {"lora_alpha", "above 0", absl::StrCat(scale)});
}

// Orthonormal columns that span those of a b.
absl::StatusOr<Matrix> RangeOf(const Matrix& product) {
  PEFT_ASSIGN_OR_RETURN(QrDecomposition qr, Qr(product));
  return std::move(qr.q);
}

}  // namespace

absl::StatusOr<LoraFactors> OrthogonalFactors(int64_t in_features,
                                              int64_t out_features, int64_t r,
                                              TorchGenerator& generator) {
  if (r < 2 || r % 2 != 0) {
    return ArgumentError(
        absl::StrCat("init_lora_weights \"orthogonal\" needs an even rank, but "
                     "r is ",
                     r),
        {"r", "an even number", absl::StrCat(r)});
  }
  PEFT_ASSIGN_OR_RETURN(const QrDecomposition qr,
                        Qr(RandomMatrix(r, r, generator)));
  const Matrix for_a = RandomMatrix(in_features, r / 2, generator);
  const Matrix for_b = RandomMatrix(r / 2, out_features, generator);
  Matrix a = Transposed(Product(for_a, AlternateRows(qr.q, 0)));
  Matrix b = Product(Transposed(for_b), AlternateRows(qr.q, 1));
  Divide(10, a);
  Divide(10, b);
  return ToFactors(a, b);
}

absl::StatusOr<LoraFactors> OloraFactors(const Matrix& w, int64_t r) {
  r = RankWithin(w, r);
  PEFT_RETURN_IF_ERROR(CheckRank(w, r));
  PEFT_ASSIGN_OR_RETURN(const QrDecomposition qr, Qr(w));
  return ToFactors(FirstRows(qr.r, r), FirstCols(qr.q, r));
}

absl::StatusOr<LoraFactors> PissaFactors(const Matrix& w, int64_t r,
                                         double scale) {
  r = RankWithin(w, r);
  PEFT_RETURN_IF_ERROR(CheckRank(w, r));
  PEFT_RETURN_IF_ERROR(CheckScale(scale));
  PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd, TopSvd(w, r));
  return SplitEvenly(std::move(svd), scale);
}

absl::StatusOr<LoraFactors> PissaNiterFactors(const Matrix& w, int64_t r,
                                              double scale, int num_iterations,
                                              TorchGenerator& generator) {
  PEFT_RETURN_IF_ERROR(CheckRank(w, r));
  PEFT_RETURN_IF_ERROR(CheckScale(scale));
  PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd,
                        RandomSvd(w, r, num_iterations, generator));
  return SplitEvenly(std::move(svd), scale);
}

absl::StatusOr<LoraFactors> MicaFactors(const Matrix& w, int64_t r) {
  PEFT_RETURN_IF_ERROR(CheckRank(w, r));
  PEFT_ASSIGN_OR_RETURN(const SvdDecomposition svd, Svd(w));
  return ToFactors(ZeroMatrix(r, w.cols), LastCols(svd.u, r));
}

absl::StatusOr<BaseChange> SmallestRemoved(const Matrix& w, int64_t r) {
  PEFT_RETURN_IF_ERROR(CheckRank(w, r));
  PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd, Svd(w));
  ScaleCols(svd.s, svd.u);
  PEFT_ASSIGN_OR_RETURN(LoraFactors factors,
                        ToFactors(LastRows(svd.vt, r), LastCols(svd.u, r)));
  return BaseChange{std::move(factors.a), std::move(factors.b), -1};
}

absl::StatusOr<SvdDecomposition> RandomSvd(const Matrix& w, int64_t rank,
                                           int num_iterations,
                                           TorchGenerator& generator) {
  if (w.rows < w.cols) {
    PEFT_ASSIGN_OR_RETURN(
        const SvdDecomposition svd,
        RandomSvd(Transposed(w), rank, num_iterations, generator));
    SvdDecomposition result = {Transposed(svd.vt), svd.s, Transposed(svd.u)};
    FixSigns(result);
    return result;
  }
  const Matrix wt = Transposed(w);
  PEFT_ASSIGN_OR_RETURN(
      Matrix q, RangeOf(Product(w, RandomMatrix(w.cols, rank, generator))));
  for (int i = 0; i < num_iterations; ++i) {
    PEFT_ASSIGN_OR_RETURN(q, RangeOf(Product(wt, q)));
    PEFT_ASSIGN_OR_RETURN(q, RangeOf(Product(w, q)));
  }
  PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd, Svd(Product(Transposed(q), w)));
  svd.u = Product(q, svd.u);
  FixSigns(svd);
  return svd;
}

}  // namespace peft
