#include "peft_cc/methods/weight_norms.h"

#include <cstring>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr int64_t kIn = 70;
constexpr int64_t kOut = 130;
constexpr int64_t kRank = 3;

float Value(int64_t i, int64_t j, int64_t seed) {
  return static_cast<float>((i * 7 + j * 3 + seed) % 11 - 5) / 8;
}

Tensor Matrix(int64_t rows, int64_t cols, int64_t seed, bool transposed) {
  void* data = nullptr;
  Tensor tensor =
      *Tensor::Allocate(DType::kF32,
                        transposed ? std::vector<int64_t>{cols, rows}
                                   : std::vector<int64_t>{rows, cols},
                        &data);
  auto* values = static_cast<float*>(data);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      values[transposed ? j * rows + i : i * cols + j] = Value(i, j, seed);
    }
  }
  return tensor;
}

// ||W + s B A|| squared, for each output, straight from the formula.
std::vector<double> Expected(double s) {
  std::vector<double> norms(kOut);
  for (int64_t o = 0; o < kOut; ++o) {
    for (int64_t i = 0; i < kIn; ++i) {
      double w = Value(o, i, 0);
      for (int64_t k = 0; k < kRank; ++k) {
        w += s * Value(o, k, 2) * Value(k, i, 1);
      }
      norms[o] += w * w;
    }
  }
  return norms;
}

void ExpectNorms(const Layer& layer) {
  const WeightNorms norms = ComputeWeightNorms(
      layer, Matrix(kRank, kIn, 1, false), Matrix(kOut, kRank, 2, false),
      kernels::InlineThreadPool());
  for (const double s : {0.0, 0.5, -3.0}) {
    const std::vector<double> expected = Expected(s);
    for (int64_t o = 0; o < kOut; ++o) {
      EXPECT_NEAR(
          norms.weight[o] + 2 * s * norms.cross[o] + s * s * norms.delta[o],
          expected[o], 1e-5 * expected[o])
          << o;
    }
  }
}

class WeightNormsTest : public testing::TestWithParam<SiteKind> {};

TEST_P(WeightNormsTest, GiveTheNormAtAnyScale) {
  const Layer layer = {"m", GetParam(), kIn, kOut,
                       Matrix(kOut, kIn, 0, GetParam() != SiteKind::kLinear)};
  ExpectNorms(layer);
}

// What is left where an adapter takes nearly all of the weight away is as exact
// as the rest.
TEST_P(WeightNormsTest, AreExactWhereTheTermsCancel) {
  const bool inputs_first = GetParam() != SiteKind::kLinear;
  std::vector<float> a(kRank * kIn), b(kOut * kRank), weight(kOut * kIn);
  for (size_t i = 0; i < a.size(); ++i) a[i] = 0.1f * Value(0, i, 1);
  for (size_t i = 0; i < b.size(); ++i) b[i] = 0.3f * Value(i, 1, 2);
  std::vector<double> expected(kOut);
  for (int64_t o = 0; o < kOut; ++o) {
    for (int64_t i = 0; i < kIn; ++i) {
      double delta = 0;
      for (int64_t k = 0; k < kRank; ++k) {
        delta += double{b[o * kRank + k]} * a[k * kIn + i];
      }
      float& w = weight[inputs_first ? i * kOut + o : o * kIn + i];
      w = static_cast<float>(1e-4 - delta);
      expected[o] += (w + delta) * (w + delta);
    }
  }
  const std::vector<int64_t> shape = inputs_first
                                         ? std::vector<int64_t>{kIn, kOut}
                                         : std::vector<int64_t>{kOut, kIn};
  const Layer layer = {"m", GetParam(), kIn, kOut,
                       Tensor(DType::kF32, shape, weight.data(), nullptr)};
  const WeightNorms norms = ComputeWeightNorms(
      layer, Tensor(DType::kF32, {kRank, kIn}, a.data(), nullptr),
      Tensor(DType::kF32, {kOut, kRank}, b.data(), nullptr),
      kernels::InlineThreadPool());
  for (int64_t o = 0; o < kOut; ++o) {
    EXPECT_NEAR(norms.weight[o] + 2 * norms.cross[o] + norms.delta[o],
                expected[o], 1e-6 * expected[o])
        << o;
  }
}

TEST(WeightNormsByColumnsTest, GiveTheNormAtAnyScale) {
  const Tensor stored = Matrix(kOut, kIn, 0, /*transposed=*/true);
  ExpectNorms({"m", SiteKind::kLinear, kIn, kOut,
               Tensor::InLines(DType::kF32, {kOut, kIn}, stored.data(),
                               stored.owner(), Tensor::Lines::kColumns, kOut)});
}

INSTANTIATE_TEST_SUITE_P(Kinds, WeightNormsTest,
                         testing::Values(SiteKind::kLinear, SiteKind::kConv1D,
                                         SiteKind::kEmbedding));

}  // namespace
}  // namespace peft
