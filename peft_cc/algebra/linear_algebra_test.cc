// Errors and special cases; linear_algebra_oracle_test.py has random matrices.
#include "peft_cc/algebra/linear_algebra.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "peft_cc/algebra/krylov_svd.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Matrix RandomMatrix(int64_t rows, int64_t cols, uint64_t seed) {
  std::vector<float> values(rows * cols);
  TorchGenerator(seed).Normal(0, 1, absl::MakeSpan(values));
  return {rows, cols, {values.begin(), values.end()}};
}

double LargestDifference(const Matrix& a, const Matrix& b) {
  double largest = 0;
  for (size_t i = 0; i < a.values.size(); ++i) {
    largest = std::fmax(largest, std::abs(a.values[i] - b.values[i]));
  }
  return largest;
}

// Every decomposition of `matrix` fails as ARGUMENT.
void ExpectRefused(const Matrix& matrix) {
  EXPECT_EQ(ErrorId(Qr(matrix).status()), error_id::kArgument);
  EXPECT_EQ(ErrorId(Svd(matrix).status()), error_id::kArgument);
  EXPECT_EQ(ErrorId(SingularValues(matrix).status()), error_id::kArgument);
  EXPECT_EQ(ErrorId(TopSvd(matrix, 1).status()), error_id::kArgument);
}

TEST(LinearAlgebraTest, MatricesWithoutElementsAreRefused) {
  ExpectRefused(ZeroMatrix(0, 0));
  ExpectRefused(ZeroMatrix(0, 3));
  ExpectRefused(ZeroMatrix(3, 0));
}

TEST(LinearAlgebraTest, InfiniteAndNanElementsAreRefused) {
  for (const double bad : {std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    Matrix matrix = RandomMatrix(4, 3, 1);
    matrix.values[7] = bad;
    ExpectRefused(matrix);
  }
}

TEST(LinearAlgebraTest, RanksOutOfRangeAreRefused) {
  const Matrix matrix = RandomMatrix(4, 3, 1);
  for (const int64_t rank : {-1, 0, 4}) {
    EXPECT_EQ(ErrorId(TopSvd(matrix, rank).status()), error_id::kArgument);
  }
  EXPECT_TRUE(TopSvd(matrix, 3).ok());
}

TEST(LinearAlgebraTest, ProductsAgreeWithEachOther) {
  const Matrix a = RandomMatrix(5, 7, 1);
  const Matrix b = RandomMatrix(7, 4, 2);
  const Matrix product = Product(a, b);
  EXPECT_EQ(product.rows, 5);
  EXPECT_EQ(product.cols, 4);
  double expected = 0;
  for (int64_t k = 0; k < 7; ++k) expected += a.row(2)[k] * b.row(k)[3];
  EXPECT_NEAR(product.row(2)[3], expected, 1e-12);
  EXPECT_LT(LargestDifference(ProductTransposed(a, Transposed(b)), product),
            1e-12);
}

TEST(LinearAlgebraTest, AMatrixOfZerosHasADecomposition) {
  for (const int64_t size : {3, 300}) {
    const SvdDecomposition svd = *TopSvd(ZeroMatrix(size, size), 2);
    EXPECT_EQ(svd.s, (std::vector<double>{0, 0}));
    const Matrix ut = Transposed(svd.u);
    EXPECT_LT(
        LargestDifference(ProductTransposed(ut, ut), {2, 2, {1, 0, 0, 1}}),
        1e-12);
  }
}

// Weights of a trained layer have singular values that fall; these fall fast,
// as the size is small.
Matrix DecayingMatrix(int64_t rows, int64_t cols, uint64_t seed) {
  Matrix matrix = RandomMatrix(rows, cols, seed);
  std::vector<double> factors;
  for (int64_t i = 0; i < rows; ++i) factors.push_back(std::pow(0.8, i));
  ScaleRows(factors, matrix);
  return matrix;
}

void ExpectEqualsSvd(const Matrix& matrix, const SvdDecomposition& top) {
  const SvdDecomposition svd = *Svd(matrix);
  const int64_t rank = top.s.size();
  for (int64_t i = 0; i < rank; ++i) {
    EXPECT_NEAR(top.s[i], svd.s[i], 1e-12 * svd.s[0]);
  }
  EXPECT_LT(LargestDifference(top.u, FirstCols(svd.u, rank)), 1e-8);
  EXPECT_LT(LargestDifference(top.vt, FirstRows(svd.vt, rank)), 1e-8);
}

TEST(KrylovSvdTest, EqualsSvdWhereValuesFall) {
  for (const int64_t rank : {1, 5, 8}) {
    for (const Matrix& matrix :
         {DecayingMatrix(260, 310, 3), DecayingMatrix(400, 260, 4)}) {
      const auto top = *KrylovSvd(matrix, rank);
      ASSERT_TRUE(top.has_value());
      ExpectEqualsSvd(matrix, *top);
    }
  }
}

TEST(KrylovSvdTest, FindsEachOfRepeatedValues) {
  // Orthogonal columns: 300 values of 1, which become three of 5 and others.
  Matrix matrix = Qr(RandomMatrix(300, 300, 5))->q;
  std::vector<double> factors(300, 1);
  for (const int i : {10, 20, 30}) factors[i] = 5;
  ScaleCols(factors, matrix);
  const auto top = *KrylovSvd(matrix, 4);
  ASSERT_TRUE(top.has_value());
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(top->s[i], i < 3 ? 5 : 1, 1e-12);
}

TEST(KrylovSvdTest, GivesUpWhereValuesHardlyFall) {
  EXPECT_FALSE(KrylovSvd(RandomMatrix(260, 260, 6), 8)->has_value());
  EXPECT_TRUE(TopSvd(RandomMatrix(260, 260, 6), 8).ok());
}

TEST(LinearAlgebraTest, ResultsAreTheSameEveryTime) {
  const Matrix matrix = DecayingMatrix(300, 300, 4);
  EXPECT_EQ(TopSvd(matrix, 4)->u.values, TopSvd(matrix, 4)->u.values);
}

}  // namespace
}  // namespace peft
