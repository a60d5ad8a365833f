#include "kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/linear.h"
#include "kernels/nn.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_codes.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr DType kFormats[] = {DType::kTable4, DType::kQ4, DType::kQ8};

int64_t Pick(const std::vector<int64_t>& choices, Random& random) {
  return choices[random() % choices.size()];
}

// A layer with a quantised weight and a low-rank term, run on random rows.
class QuantizedLayer {
 public:
  QuantizedLayer(DType format, int64_t block, int64_t rows, int64_t in,
                 int64_t out, Random& random)
      : weight_(format, out, in, block, random),
        a_(DType::kBF16, 5, in, random),
        b_(DType::kF32, out, 5, random),
        bias_(DType::kF32, 1, out, random),
        x_(rows, in, 3, random),
        y_(rows, out, 2, random) {
    plan_.weight = weight_.view();
    plan_.bias = bias_.vector();
    plan_.stages = {{{{a_.view(), b_.view(), 0.5f}}, {}}};
  }

  void Run(ThreadPool& pool) {
    std::vector<float> workspace(
        LinearWorkspaceFloats(plan_, x_.view().rows) + 1,
        std::numeric_limits<float>::quiet_NaN());
    RunLinear(plan_, x_.view(), y_.view(), workspace.data() + 1, pool);
  }

  // In double; *size becomes the sum of all magnitudes.
  double Expected(int64_t row, int64_t o, double* size) const {
    double sum = bias_.At(0, o);
    *size = std::abs(sum);
    const int64_t in = plan_.weight.cols;
    const auto add = [&](double product) {
      sum += product;
      *size += std::abs(product);
    };
    for (int64_t i = 0; i < in; ++i) add(x_.At(row, i) * weight_.At(o, i));
    for (int64_t r = 0; r < 5; ++r) {
      for (int64_t i = 0; i < in; ++i) {
        add(0.5 * x_.At(row, i) * a_.At(r, i) * b_.At(o, r));
      }
    }
    return sum;
  }

  void ExpectRight() {
    for (int64_t row = 0; row < x_.view().rows; ++row) ExpectRowRight(row);
    EXPECT_TRUE(y_.GapsAreUntouched());
  }
  void ExpectRowRight(int64_t row) {
    for (int64_t o = 0; o < plan_.weight.rows; ++o) {
      double size = 0;
      const double expected = Expected(row, o, &size);
      ASSERT_NEAR(y_.At(row, o), expected, 1e-6 * size)
          << "row " << row << " output " << o << " of " << x_.view().rows
          << " x " << plan_.weight.cols << " x " << plan_.weight.rows;
    }
  }

  void ExpectResult(const RandomRows& expected) {
    for (int64_t row = 0; row < y_.view().rows; ++row) {
      for (int64_t o = 0; o < plan_.weight.rows; ++o) {
        ASSERT_EQ(y_.At(row, o), expected.At(row, o)) << row << " " << o;
      }
    }
  }

  const LinearPlan& plan() const { return plan_; }
  RandomRows& x() { return x_; }
  RandomRows& y() { return y_; }
  // What elements of a row that are small beside the largest may cost: x is
  // kept to 2^-21 of the largest.
  double Granularity(int64_t row, int64_t o) const {
    double largest = 0;
    double weights = 0;
    for (int64_t i = 0; i < plan_.weight.cols; ++i) {
      largest = std::max<double>(largest, std::abs(x_.At(row, i)));
      weights += std::abs(weight_.At(o, i));
    }
    return std::ldexp(largest * weights, -21);
  }

 private:
  RandomCodes weight_;
  RandomMatrix a_;
  RandomMatrix b_;
  RandomMatrix bias_;
  RandomRows x_;
  RandomRows y_;
  LinearPlan plan_;
};

class QuantizeTest : public KernelTest {};
PEFT_FOR_EACH_KERNEL(QuantizeTest);

// So within 1e-6 of dequantise-then-multiply, for few rows and many.
TEST_P(QuantizeTest, ProductsMatchDoublePrecisionOnRandomShapes) {
  Random random(3);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (int i = 0; i < 150 && !HasFatalFailure(); ++i) {
    const int64_t block = Pick({32, 32, 32, 64, 96, 128}, random);
    const int64_t in = block * Pick({0, 1, 2, 3, 5, 9}, random);
    QuantizedLayer layer(
        kFormats[i % 3], block,
        Pick({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 17, 50}, random), in,
        Pick({1, 2, 3, 4, 5, 7, 16, 17, 47, 48, 49, 100, 144, 145, 176},
             random),
        random);
    layer.Run(*pool);
    layer.ExpectRight();
  }
}

// Several panels of inputs to an output.
TEST_P(QuantizeTest, ProductsOfLongRowsMatchDoublePrecision) {
  Random random(4);
  for (const DType format : kFormats) {
    for (const int64_t rows : {1, 20}) {
      QuantizedLayer layer(format, 32, rows, 32 * 129, 16, random);
      layer.Run(InlineThreadPool());
      layer.ExpectRight();
    }
  }
}

// One element of a row is a thousand times the others; whole rows are as large
// and as small as f32 goes.
TEST_P(QuantizeTest, RowsOfAnyMagnitudeKeepTheirPrecision) {
  Random random(10);
  for (const DType format : kFormats) {
    for (const float factor : {1.0f, 1e-30f, 1e30f}) {
      QuantizedLayer layer(format, 32, 3, 320, 32, random);
      for (int64_t row = 0; row < 3; ++row) {
        layer.x().At(row, 7 * row) = 1000;
        for (int64_t i = 0; i < 320; ++i) layer.x().At(row, i) *= factor;
      }
      layer.Run(InlineThreadPool());
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t o = 0; o < 32; ++o) {
          double size = 0;
          const double expected = layer.Expected(row, o, &size);
          ASSERT_NEAR(layer.y().At(row, o), expected,
                      1e-6 * size + layer.Granularity(row, o))
              << "format " << static_cast<int>(format) << " factor " << factor;
        }
      }
    }
  }
}

TEST_P(QuantizeTest, SmallElementsOfARowCount) {
  Random random(11);
  for (const DType format : kFormats) {
    QuantizedLayer layer(format, 32, 1, 64, 16, random);
    for (int64_t i = 0; i < 64; ++i) layer.x().At(0, i) = 0;
    layer.x().At(0, 40) = std::ldexp(1.0f, -140);
    layer.Run(InlineThreadPool());
    layer.ExpectRight();
  }
}

// As IEEE has it, and in its own row only.
TEST_P(QuantizeTest, InfinityAndNaNStayInTheirRow) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const DType format : kFormats) {
    for (const float value : {infinity, -infinity, std::nanf("")}) {
      Random random(12);
      QuantizedLayer layer(format, 32, 3, 96, 32, random);
      layer.x().At(1, 50) = value;
      layer.Run(InlineThreadPool());
      layer.ExpectRowRight(0);
      layer.ExpectRowRight(2);
      for (int64_t o = 0; o < 32; ++o) {
        double size = 0;
        const double expected = layer.Expected(1, o, &size);
        const float found = layer.y().At(1, o);
        EXPECT_TRUE(found == expected ||
                    (std::isnan(found) && std::isnan(expected)));
      }
    }
  }
}

void ExpectRowsAlike(DType format, int64_t outputs) {
  std::vector<float> alone;
  for (const int64_t rows : {1, 2, 3, 4, 5, 8}) {
    Random random(13);
    QuantizedLayer layer(format, 32, rows, 448, outputs, random);
    std::vector<float> row(outputs);
    Random inputs(14);
    const std::vector<float> x = RandomFloats(448, inputs);
    for (int64_t i = 0; i < 448; ++i) layer.x().At(rows - 1, i) = x[i];
    layer.Run(InlineThreadPool());
    for (int64_t o = 0; o < outputs; ++o) row[o] = layer.y().At(rows - 1, o);
    if (rows == 1) alone = row;
    EXPECT_EQ(row, alone) << rows << " rows, " << outputs << " outputs";
  }
}

TEST_P(QuantizeTest, ARowDoesNotDependOnTheOthersOfFew) {
  for (const DType format : kFormats) {
    ExpectRowsAlike(format, 48);
    ExpectRowsAlike(format, 51);  // not all in blocks of one size
  }
}

TEST_P(QuantizeTest, ResultsDoNotDependOnTheNumberOfThreads) {
  for (const DType format : kFormats) {
    for (const int64_t rows : {1, 3, 30}) {
      std::vector<float> results[2];
      for (const int threads : {1, 3}) {
        Random random(5);
        QuantizedLayer layer(format, 32, rows, 640, 512, random);
        layer.Run(*CreateThreadPool(threads));
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t o = 0; o < 512; ++o) {
            results[threads / 2].push_back(layer.y().At(row, o));
          }
        }
      }
      EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(),
                            results[0].size() * sizeof(float)),
                0);
    }
  }
}

// Those of one format share how it is laid out; `past_caches` changes nothing.
TEST_P(QuantizeTest, LayersOfTheSameInputComputeWhatEachDoesAlone) {
  Random random(16);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2);
  for (const int64_t rows : {1, 3, 9}) {
    RandomRows x(rows, 160, 3, random);
    std::vector<std::unique_ptr<QuantizedLayer>> layers;
    std::vector<LinearGroup> groups;
    int64_t floats = 0;
    for (const DType format :
         {DType::kQ4, DType::kQ4, DType::kQ8, DType::kTable4}) {
      layers.push_back(
          std::make_unique<QuantizedLayer>(format, 32, rows, 160, 48, random));
      groups.push_back({&layers.back()->plan(), rows});
      floats += LinearWorkspaceFloats(layers.back()->plan(), rows);
    }
    std::vector<float> workspace(floats);
    std::vector<LinearCall> calls;
    for (size_t i = 0; i < groups.size(); ++i) {
      calls.push_back(
          {absl::MakeConstSpan(&groups[i], 1), layers[i]->y().view()});
    }
    for (const bool past_caches : {false, true}) {
      RunLinears(calls, x.view(), workspace.data(), *pool, past_caches);
      for (const auto& layer : layers) {
        RandomRows alone(rows, 48, 0, random);
        RunLinear(layer->plan(), x.view(), alone.view(), workspace.data(),
                  *pool);
        layer->ExpectResult(alone);
      }
    }
  }
}

TEST_P(QuantizeTest, RowsOfATableAreDequantised) {
  Random random(6);
  for (const DType format : kFormats) {
    const RandomCodes table(format, 16, 96, 32, random);
    RandomRows y(3, 96, 1, random);
    const int64_t ids[] = {8, 0, 3};
    Embed(table.view(), ids, y.view(), InlineThreadPool());
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t col = 0; col < 96; ++col) {
        EXPECT_FLOAT_EQ(y.At(row, col),
                        static_cast<float>(table.At(ids[row], col)));
      }
    }
  }
}

// What a format makes of a matrix.
struct Quantized {
  std::vector<uint8_t> codes;
  std::vector<uint16_t> scales;
  std::vector<float> values;  // dequantised
  bool is_finite = false;
};

Quantized Requantize(const MatrixView& weight, DType format, ThreadPool& pool) {
  const int64_t count = weight.rows * weight.cols;
  Quantized result;
  result.codes.resize(count * DTypeBits(format) / 8);
  result.scales.resize(count / kCodesAtOnce);
  result.values.resize(count);
  result.is_finite =
      Quantize(weight, format, result.codes.data(), result.scales.data(), pool);
  const BlockCodes codes = {result.scales.data(), kCodesAtOnce, nullptr,
                            IsInterleaved(weight.rows)};
  Dequantize({result.codes.data(), format, weight.rows, weight.cols,
              weight.cols, &codes},
             0, count, result.values.data());
  return result;
}

double RelativeError(const RandomMatrix& weight,
                     const std::vector<float>& values) {
  const MatrixView view = weight.view();
  double error = 0;
  double size = 0;
  for (int64_t i = 0; i < view.rows * view.cols; ++i) {
    const double exact = weight.At(i / view.cols, i % view.cols);
    error += (values[i] - exact) * (values[i] - exact);
    size += exact * exact;
  }
  return std::sqrt(error / size);
}

// For normal weights no code of 4 bits can come below 1/16 on average: that is
// the rate-distortion bound. Rounding to steps of 1/127 of the largest of 32
// costs 0.0054.
TEST_P(QuantizeTest, NormalWeightsLoseWhatTheBitsAllow) {
  Random random(7);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const RandomMatrix weight(dtype, 100, 320, random, /*aligned=*/true);
    ThreadPool& pool = InlineThreadPool();
    const double q8 = RelativeError(
        weight, Requantize(weight.view(), DType::kQ8, pool).values);
    const double q4 = RelativeError(
        weight, Requantize(weight.view(), DType::kQ4, pool).values);
    RecordProperty("q8_error", std::to_string(q8));
    RecordProperty("q4_error", std::to_string(q4));
    EXPECT_LT(q8, 0.0055);
    EXPECT_GT(q8, 0.005);
    EXPECT_LT(q4, 0.0835);
    EXPECT_GT(q4, 1.0 / 16);
  }
}

// The same codes, wherever they are.
TEST_P(QuantizeTest, RowsAreInterleavedInGroupsOf16) {
  Random random(15);
  const RandomMatrix weight(DType::kF32, 17, 64, random, /*aligned=*/true);
  MatrixView sixteen = weight.view();
  sixteen.rows = 16;
  for (const DType format : {DType::kQ4, DType::kQ8}) {
    const Quantized plain =
        Requantize(weight.view(), format, InlineThreadPool());
    const Quantized together = Requantize(sixteen, format, InlineThreadPool());
    const int64_t row_bytes = 64 * DTypeBits(format) / 8;
    for (int64_t row = 0; row < 16; ++row) {
      for (int64_t byte = 0; byte < row_bytes; ++byte) {
        EXPECT_EQ(together.codes[byte / 4 * 64 + row * 4 + byte % 4],
                  plain.codes[row * row_bytes + byte]);
      }
      EXPECT_EQ(together.scales[row], plain.scales[2 * row]);
      EXPECT_EQ(together.scales[16 + row], plain.scales[2 * row + 1]);
    }
    EXPECT_TRUE(std::equal(together.values.begin(), together.values.end(),
                           plain.values.begin()));
  }
}

TEST_P(QuantizeTest, CodesDoNotDependOnTheNumberOfThreads) {
  Random random(8);
  const RandomMatrix weight(DType::kBF16, 200, 640, random, /*aligned=*/true);
  for (const DType format : {DType::kQ4, DType::kQ8}) {
    const Quantized one = Requantize(weight.view(), format, InlineThreadPool());
    const Quantized three =
        Requantize(weight.view(), format, *CreateThreadPool(3));
    EXPECT_EQ(one.codes, three.codes);
    EXPECT_EQ(one.scales, three.scales);
  }
}

// One block of `value`, but for element 5.
Quantized OneBlock(DType format, float value, float fifth) {
  Random random(9);
  RandomMatrix weight(DType::kF32, 1, kCodesAtOnce, random, /*aligned=*/true);
  for (int64_t i = 0; i < kCodesAtOnce; ++i) {
    weight.Set(0, i, i == 5 ? fifth : value);
  }
  return Requantize(weight.view(), format, InlineThreadPool());
}

// To the digits of a scale.
TEST_P(QuantizeTest, SimpleBlocksAreKept) {
  const auto expect_near = [](float value, float expected) {
    EXPECT_NEAR(value / expected, 1, 1.0 / 256);
  };
  for (const DType format : {DType::kQ4, DType::kQ8}) {
    EXPECT_EQ(OneBlock(format, 0, 0).values, std::vector<float>(32, 0));
    expect_near(OneBlock(format, 0, -3).values[5], -3);
    EXPECT_EQ(OneBlock(format, 0, -3).values[4], 0);
    expect_near(OneBlock(format, 1e-30f, 1e-30f).values[31], 1e-30f);
    expect_near(OneBlock(format, 3e38f, 3e38f).values[0], 3e38f);
    EXPECT_EQ(OneBlock(format, 1e-40f, 1e-42f).values,
              std::vector<float>(32, 0));
  }
}

TEST_P(QuantizeTest, TheLargestNumbersStayFinite) {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (const DType format : {DType::kQ4, DType::kQ8}) {
    for (const float others : {0.0f, 0.5f * kMost, 0.9f * kMost, kMost}) {
      for (const float extreme : {kMost, -kMost}) {
        const float value = OneBlock(format, others, extreme).values[5];
        EXPECT_NEAR(value / extreme, 1, 0.07) << others;
      }
    }
  }
}

TEST_P(QuantizeTest, OnlyFiniteNumbersHaveCodes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const DType format : {DType::kQ4, DType::kQ8}) {
    EXPECT_TRUE(OneBlock(format, 1, 2).is_finite);
    EXPECT_FALSE(OneBlock(format, 1, nan).is_finite);
    EXPECT_FALSE(OneBlock(format, 1, -infinity).is_finite);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
