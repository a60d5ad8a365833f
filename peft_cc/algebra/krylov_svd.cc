#include "peft_cc/algebra/krylov_svd.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The share of all directions beyond which a space costs more than Svd.
constexpr int64_t kSpaceDivisor = 4;
// Vectors of a block beyond the rank.
constexpr int64_t kOversampling = 8;
// What TopSvd's comment says of its accuracy.
constexpr double kTolerance = 1e-11;
constexpr double kAbsoluteTolerance = 1e-14;
constexpr double kOrthogonality = 1e-12;

// block -= (block basis^T) basis: what is left is orthogonal to the basis.
void RemoveProjection(const Matrix& basis, Matrix& block) {
  const Matrix projection = Product(ProductTransposed(block, basis), basis);
  for (size_t i = 0; i < block.values.size(); ++i) {
    block.values[i] -= projection.values[i];
  }
}

// The space so far. Vectors are rows, so that a block is appended in place.
class KrylovSpace {
 public:
  KrylovSpace(const Matrix& a, int64_t block_size)
      : a_(a), basis_{0, a.rows, {}}, image_{0, a.cols, {}} {
    Matrix random = ZeroMatrix(block_size, a.cols);
    std::vector<float> draws(random.values.size());
    TorchGenerator(0).Normal(0, 1, absl::MakeSpan(draws));
    std::copy(draws.begin(), draws.end(), random.values.begin());
    next_ = ProductTransposed(random, a_);
  }

  // Appends the next block. Its part outside of the space is made orthogonal
  // twice: once is not enough in floating point where little is left of it.
  absl::Status Grow() {
    if (basis_.rows > 0) RemoveProjection(basis_, next_);
    PEFT_ASSIGN_OR_RETURN(QrDecomposition qr, Qr(Transposed(next_)));
    Matrix block = Transposed(qr.q);
    if (basis_.rows > 0) {
      RemoveProjection(basis_, block);
      PEFT_ASSIGN_OR_RETURN(qr, Qr(Transposed(block)));
      block = Transposed(qr.q);
    }
    const Matrix image = Product(block, a_);
    next_ = ProductTransposed(image, a_);
    AppendRows(block, basis_);
    AppendRows(image, image_);
    return absl::OkStatus();
  }

  int64_t size() const { return basis_.rows; }

  // The best `rank` left singular vectors in the space, as combinations of its
  // basis in columns; nullopt where they are not yet accurate.
  absl::StatusOr<std::optional<Matrix>> Converged(int64_t rank) const {
    PEFT_ASSIGN_OR_RETURN(const SvdDecomposition ritz,
                          Svd(ProductTransposed(image_, image_)));
    Matrix vectors = FirstCols(ritz.u, rank);
    // A A^T maps all blocks but the last one into the space.
    Matrix outside = next_;
    RemoveProjection(basis_, outside);
    const Matrix residual = Product(Transposed(LastBlock(vectors)), outside);
    for (int64_t i = 0; i < rank; ++i) {
      const double tolerance =
          std::max(kTolerance * std::sqrt(ritz.s[0] * ritz.s[i]),
                   kAbsoluteTolerance * ritz.s[0]);
      if (!(RowNorm(residual, i) <= tolerance)) return std::nullopt;
    }
    return std::optional<Matrix>(std::move(vectors));
  }

  // The decomposition that belongs to such combinations.
  absl::StatusOr<SvdDecomposition> Finish(const Matrix& vectors) const {
    const Matrix combinations = Transposed(vectors);
    PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd,
                          Svd(Product(combinations, image_)));
    const Matrix left = Product(combinations, basis_);
    svd.u = Product(Transposed(left), svd.u);
    FixSigns(svd);
    return svd;
  }

 private:
  Matrix LastBlock(const Matrix& vectors) const {
    Matrix block = ZeroMatrix(next_.rows, vectors.cols);
    std::copy(vectors.values.end() - block.values.size(), vectors.values.end(),
              block.values.begin());
    return block;
  }

  static double RowNorm(const Matrix& matrix, int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < matrix.cols; ++j) {
      sum += matrix.row(i)[j] * matrix.row(i)[j];
    }
    return std::sqrt(sum);
  }

  const Matrix& a_;
  Matrix basis_;  // Q^T
  Matrix image_;  // Q^T A
  Matrix next_;   // what the next block is made of: the last one's A A^T
};

bool IsOrthonormal(const Matrix& u) {
  const Matrix ut = Transposed(u);
  const Matrix gram = ProductTransposed(ut, ut);
  for (int64_t i = 0; i < gram.rows; ++i) {
    for (int64_t j = 0; j < gram.cols; ++j) {
      const double expected = i == j ? 1 : 0;
      if (!(std::abs(gram.row(i)[j] - expected) <= kOrthogonality)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<SvdDecomposition>> KrylovSvd(const Matrix& a,
                                                          int64_t rank) {
  const int64_t block_size = rank + kOversampling;
  const int64_t max_size = std::min(a.rows, a.cols) / kSpaceDivisor;
  KrylovSpace space(a, block_size);
  int64_t next_check = 2 * block_size;
  while (space.size() + block_size <= max_size) {
    PEFT_RETURN_IF_ERROR(space.Grow());
    if (space.size() < next_check) continue;
    next_check = space.size() + space.size() / 4;
    PEFT_ASSIGN_OR_RETURN(const std::optional<Matrix> vectors,
                          space.Converged(rank));
    if (!vectors.has_value()) continue;
    PEFT_ASSIGN_OR_RETURN(SvdDecomposition svd, space.Finish(*vectors));
    if (!IsOrthonormal(svd.u)) return std::nullopt;
    return std::optional<SvdDecomposition>(std::move(svd));
  }
  return std::nullopt;
}

}  // namespace peft
