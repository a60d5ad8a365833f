#include "kernels/nn.h"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// |actual - expected| within `ulps` units in the last place of expected.
void ExpectUlps(float actual, double expected, double ulps) {
  const double unit = std::ldexp(
      1.0, std::max(std::ilogb(std::abs(expected) + 1e-45) - 23, -149));
  EXPECT_NEAR(actual, expected, ulps * unit) << "expected " << expected;
}

class NnTest : public KernelTest {};
PEFT_FOR_EACH_KERNEL(NnTest);

TEST_P(NnTest, EmbedCopiesRowsExactly) {
  Random random(1);
  for (DType dtype : kDTypes) {
    RandomMatrix table(dtype, 9, 37, random);
    const std::vector<int64_t> ids = {8, 0, 3, 3};
    RandomRows y(4, 37, 2, random);
    Embed(table.view(), ids.data(), y.view(), InlineThreadPool());
    for (int64_t t = 0; t < 4; ++t) {
      for (int64_t i = 0; i < 37; ++i) {
        ASSERT_EQ(y.At(t, i), table.At(ids[t], i));
      }
    }
    EXPECT_TRUE(y.GapsAreUntouched());
  }
}

TEST_P(NnTest, EmbedKeepsHalfFloatsOfEveryKind) {
  // Smallest subnormal, largest subnormal, smallest normal, largest, infinity.
  const std::vector<uint16_t> halves = {0x0001, 0x03ff, 0x0400, 0x7bff,
                                        0x7c00, 0x8001, 0xfc00, 0x8000};
  const MatrixView table = {halves.data(), DType::kF16, 1, 8, 8};
  const int64_t id = 0;
  std::vector<float> y(8);
  Embed(table, &id, {y.data(), 1, 8, 8}, InlineThreadPool());
  EXPECT_EQ(y, (std::vector<float>{0x1p-24f, 0x3ffp-24f, 0x1p-14f, 65504.0f,
                                   kInf, -0x1p-24f, -kInf, 0.0f}));
  EXPECT_TRUE(std::signbit(y[7]));
}

TEST_P(NnTest, RmsNormMatchesDoublePrecision) {
  Random random(2);
  for (int64_t width : {1, 5, 16, 64, 83, 576}) {
    for (int64_t groups : {1, 3}) {
      RandomRows x(3, width * groups, 1, random);
      RandomRows y(3, width * groups, 1, random);
      const RandomMatrix weight(kDTypes[width % 3], 1, width, random);
      RmsNorm(x.view(), weight.vector(), 1e-3f, y.view(), InlineThreadPool());
      for (int64_t t = 0; t < 3; ++t) {
        for (int64_t i = 0; i < width * groups; ++i) {
          double squares = 0;
          for (int64_t j = 0; j < width; ++j) {
            squares += std::pow(x.At(t, i / width * width + j), 2);
          }
          const double root = std::sqrt(squares / width + double{1e-3f});
          const double expected = x.At(t, i) / root * weight.At(0, i % width);
          ExpectUlps(y.At(t, i), expected, 6);
        }
      }
      EXPECT_TRUE(y.GapsAreUntouched());
    }
  }
}

TEST_P(NnTest, RmsNormWorksInPlace) {
  Random random(3);
  RandomRows x(2, 50, 0, random);
  RandomRows y(2, 50, 0, random);
  const RandomMatrix weight(DType::kF32, 1, 25, random);
  RmsNorm(x.view(), weight.vector(), 1e-6f, y.view(), InlineThreadPool());
  RmsNorm(x.view(), weight.vector(), 1e-6f, x.view(), InlineThreadPool());
  for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(x.At(1, i), y.At(1, i));
}

TEST_P(NnTest, RopeRotatesPairs) {
  Random random(4);
  for (int64_t head_dim : {2, 6, 32, 64, 82}) {
    const int64_t half = head_dim / 2;
    RandomRows x(3, 2 * head_dim, 1, random);
    const RandomRows before = x;
    RandomRows cos(3, half, 1, random);
    RandomRows sin(3, half, 2, random);
    Rope(x.view(), head_dim, cos.view(), sin.view(), InlineThreadPool());
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const double a = before.At(t, head_dim + i);
        const double b = before.At(t, head_dim + half + i);
        const double c = cos.At(t, i);
        const double s = sin.At(t, i);
        const double tolerance =
            3e-7 * (std::abs(a) + std::abs(b)) * (std::abs(c) + std::abs(s));
        EXPECT_NEAR(x.At(t, head_dim + i), a * c - b * s, tolerance);
        EXPECT_NEAR(x.At(t, head_dim + half + i), b * c + a * s, tolerance);
      }
    }
    EXPECT_TRUE(x.GapsAreUntouched());
  }
}

double Exactly(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:
      return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) *
                               (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return std::max(0.0, x);
    case Activation::kTanh:
      return std::tanh(x);
  }
  return 0;
}

// One activation at many points from -range to range.
void ExpectActivation(Activation activation, double range, double ulps) {
  constexpr int64_t kPoints = 20011;
  std::vector<float> x(kPoints);
  for (int64_t i = 0; i < kPoints; ++i) {
    x[i] = static_cast<float>(range * (2.0 * i / (kPoints - 1) - 1));
  }
  const std::vector<float> ones(kPoints, 1.0f);
  std::vector<float> y(kPoints);
  GatedActivation(activation, {x.data(), 1, kPoints, kPoints},
                  {ones.data(), 1, kPoints, kPoints},
                  {y.data(), 1, kPoints, kPoints}, InlineThreadPool());
  std::vector<float> plain(kPoints);
  Activate(activation, {x.data(), 1, kPoints, kPoints},
           {plain.data(), 1, kPoints, kPoints}, InlineThreadPool());
  for (int64_t i = 0; i < kPoints && !testing::Test::HasFailure(); ++i) {
    ExpectUlps(y[i], Exactly(activation, x[i]), ulps);
    EXPECT_EQ(plain[i], y[i]);
  }
}

TEST_P(NnTest, SiluIsAccurate) {
  ExpectActivation(Activation::kSilu, 12, 3);
  // Beyond 88 e^-x overflows f32, and so the result is 0 a little early, as
  // PyTorch's is.
  ExpectActivation(Activation::kSilu, 88, 3);
}

TEST_P(NnTest, GeluIsAccurate) {
  ExpectActivation(Activation::kGelu, 4, 30);
  ExpectActivation(Activation::kGeluTanh, 4, 30);
}

TEST_P(NnTest, TanhIsAccurate) {
  ExpectActivation(Activation::kTanh, 10, 2);
  ExpectActivation(Activation::kTanh, 1e-3, 2);
}

TEST_P(NnTest, ReluIsExact) { ExpectActivation(Activation::kRelu, 100, 0); }

TEST_P(NnTest, ActivationsAtTheEnds) {
  const std::vector<float> x = {1000.0f, -1000.0f, kInf, 0.0f, -kInf, kNan};
  const std::vector<float> ones(6, 1.0f);
  for (Activation activation : {Activation::kSilu, Activation::kGelu,
                                Activation::kGeluTanh, Activation::kRelu}) {
    std::vector<float> y(6);
    GatedActivation(activation, {x.data(), 1, 6, 6}, {ones.data(), 1, 6, 6},
                    {y.data(), 1, 6, 6}, InlineThreadPool());
    EXPECT_EQ(y[0], 1000.0f);
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_EQ(y[2], kInf);
    EXPECT_EQ(y[3], 0.0f);
    EXPECT_TRUE(std::isnan(y[5]));
  }
}

TEST_P(NnTest, ActivateWorksInPlaceOnPartsOfRows) {
  Random random(15);
  RandomRows x(40, 1001, 1, random);
  const RandomRows before = x;
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  Activate(Activation::kGelu, x.view(), x.view(), *pool);
  for (int64_t t = 0; t < 40; ++t) {
    for (int64_t i = 0; i < 1001; ++i) {
      ExpectUlps(x.At(t, i), Exactly(Activation::kGelu, before.At(t, i)), 60);
    }
  }
  EXPECT_TRUE(x.GapsAreUntouched());
}

TEST_P(NnTest, LayerNormMatchesDoublePrecision) {
  Random random(16);
  for (int64_t width : {1, 5, 16, 64, 83, 768}) {
    RandomRows x(3, width, 1, random);
    // A mean that is large beside the spread.
    for (int64_t i = 0; i < width; ++i) x.At(2, i) += 100;
    RandomRows y(3, width, 2, random);
    const RandomMatrix weight(kDTypes[width % 3], 1, width, random);
    const RandomMatrix bias(kDTypes[(width + 1) % 3], 1, width, random);
    LayerNorm(x.view(), weight.vector(), bias.vector(), 1e-5f, y.view(),
              InlineThreadPool());
    for (int64_t t = 0; t < 3; ++t) {
      double mean = 0;
      double variance = 0;
      for (int64_t i = 0; i < width; ++i) mean += x.At(t, i) / double(width);
      for (int64_t i = 0; i < width; ++i) {
        variance += std::pow(x.At(t, i) - mean, 2) / double(width);
      }
      for (int64_t i = 0; i < width; ++i) {
        const double normed =
            (x.At(t, i) - mean) / std::sqrt(variance + double{1e-5f});
        const double expected = normed * weight.At(0, i) + bias.At(0, i);
        // What the rounding of the mean leaves.
        const double unit = std::abs(mean) / std::sqrt(variance + 1e-5);
        EXPECT_NEAR(y.At(t, i), expected,
                    (1 + unit + std::abs(normed)) *
                        (1 + std::abs(weight.At(0, i))) * 1e-6);
      }
    }
    EXPECT_TRUE(y.GapsAreUntouched());
  }
}

TEST_P(NnTest, LayerNormWorksInPlaceAndWithoutBias) {
  Random random(17);
  RandomRows x(2, 50, 0, random);
  RandomRows y(2, 50, 0, random);
  const RandomMatrix weight(DType::kF32, 1, 50, random);
  const std::vector<float> zeros(50, 0.0f);
  LayerNorm(x.view(), weight.vector(), {zeros.data(), DType::kF32, 50}, 1e-6f,
            y.view(), InlineThreadPool());
  LayerNorm(x.view(), weight.vector(), {}, 1e-6f, x.view(), InlineThreadPool());
  for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(x.At(1, i), y.At(1, i));
}

TEST_P(NnTest, GateIsMultipliedByUp) {
  Random random(5);
  RandomRows gate(40, 1001, 1, random);
  RandomRows up(40, 1001, 0, random);
  const RandomRows before = gate;
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  GatedActivation(Activation::kSilu, gate.view(), up.view(), gate.view(),
                  *pool);
  for (int64_t t = 0; t < 40; ++t) {
    for (int64_t i = 0; i < 1001; ++i) {
      ExpectUlps(gate.At(t, i),
                 Exactly(Activation::kSilu, before.At(t, i)) * up.At(t, i), 4);
    }
  }
  EXPECT_TRUE(gate.GapsAreUntouched());
}

TEST_P(NnTest, AddRowsAdds) {
  Random random(6);
  RandomRows x(5, 67, 1, random);
  RandomRows y(5, 67, 2, random);
  const RandomRows before = y;
  AddRows(x.view(), y.view(), InlineThreadPool());
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t i = 0; i < 67; ++i) {
      EXPECT_EQ(y.At(t, i), before.At(t, i) + x.At(t, i));
    }
  }
  EXPECT_TRUE(y.GapsAreUntouched());
}

TEST_P(NnTest, ZeroRowsDoNothing) {
  RmsNorm({nullptr, 0, 8, 8}, {nullptr, DType::kF32, 8}, 1e-6f,
          {nullptr, 0, 8, 8}, InlineThreadPool());
  AddRows({nullptr, 0, 8, 8}, {nullptr, 0, 8, 8}, InlineThreadPool());
}

TEST_P(NnTest, ArgmaxFindsTheFirstLargest) {
  for (int64_t n : {1, 2, 7, 16, 33, 100}) {
    for (int64_t place = 0; place < n; ++place) {
      std::vector<float> x(n, -5.0f);
      x[place] = 2.0f;
      EXPECT_EQ(Argmax(x.data(), n), place);
      x[n - 1] = 2.0f;
      EXPECT_EQ(Argmax(x.data(), n), place);
    }
  }
}

TEST_P(NnTest, ArgmaxIsNeverNan) {
  for (int64_t n : {3, 40}) {
    std::vector<float> x(n, kNan);
    EXPECT_EQ(Argmax(x.data(), n), 0);
    x[n - 1] = -kInf;
    EXPECT_EQ(Argmax(x.data(), n), n - 1);
    x[1] = -1.0f;
    EXPECT_EQ(Argmax(x.data(), n), 1);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
