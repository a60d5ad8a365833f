#include "peft_cc/algebra/linear_algebra.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "Eigen/Dense"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using RowMajor =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const RowMajor> View(const Matrix& matrix) {
  return {matrix.values.data(), matrix.rows, matrix.cols};
}

Eigen::Map<RowMajor> View(Matrix& matrix) {
  return {matrix.values.data(), matrix.rows, matrix.cols};
}

template <typename Expression>
Matrix ToMatrix(const Expression& expression) {
  Matrix result = ZeroMatrix(expression.rows(), expression.cols());
  View(result) = expression;
  return result;
}

std::vector<double> ToVector(const Eigen::VectorXd& values) {
  return {values.data(), values.data() + values.size()};
}

}  // namespace

Matrix Product(const Matrix& a, const Matrix& b) {
  return ToMatrix(View(a) * View(b));
}

Matrix ProductTransposed(const Matrix& a, const Matrix& b) {
  return ToMatrix(View(a) * View(b).transpose());
}

absl::Status CheckDecomposable(const Matrix& matrix) {
  if (matrix.values.empty()) {
    return ArgumentError(absl::StrCat("a matrix of ", matrix.rows, " x ",
                                      matrix.cols,
                                      " elements has no decomposition"));
  }
  const auto is_finite = [](double value) { return std::isfinite(value); };
  if (std::all_of(matrix.values.begin(), matrix.values.end(), is_finite)) {
    return absl::OkStatus();
  }
  return ArgumentError(
      "a matrix with infinite or NaN elements has no decomposition; check the "
      "weights that it comes from");
}

absl::StatusOr<QrDecomposition> Qr(const Matrix& matrix) {
  PEFT_RETURN_IF_ERROR(CheckDecomposable(matrix));
  const int64_t k = std::min(matrix.rows, matrix.cols);
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(View(matrix));
  const Eigen::MatrixXd q =
      qr.householderQ() * Eigen::MatrixXd::Identity(matrix.rows, k);
  const Eigen::MatrixXd r =
      qr.matrixQR().topRows(k).triangularView<Eigen::Upper>();
  return QrDecomposition{ToMatrix(q), ToMatrix(r)};
}

absl::StatusOr<SvdDecomposition> Svd(const Matrix& matrix) {
  PEFT_RETURN_IF_ERROR(CheckDecomposable(matrix));
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(
      View(matrix), Eigen::ComputeThinU | Eigen::ComputeThinV);
  SvdDecomposition result = {ToMatrix(svd.matrixU()),
                             ToVector(svd.singularValues()),
                             ToMatrix(svd.matrixV().transpose())};
  FixSigns(result);
  return result;
}

absl::StatusOr<std::vector<double>> SingularValues(const Matrix& matrix) {
  PEFT_RETURN_IF_ERROR(CheckDecomposable(matrix));
  return ToVector(
      Eigen::BDCSVD<Eigen::MatrixXd>(View(matrix)).singularValues());
}

void FixSigns(SvdDecomposition& svd) {
  Eigen::Map<RowMajor> u = View(svd.u);
  Eigen::Map<RowMajor> vt = View(svd.vt);
  for (Eigen::Index i = 0; i < u.cols(); ++i) {
    Eigen::Index largest;
    u.col(i).cwiseAbs().maxCoeff(&largest);
    if (u(largest, i) >= 0) continue;
    u.col(i) *= -1;
    vt.row(i) *= -1;
  }
}

}  // namespace peft
