#include "kernels/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

struct Shape {
  int64_t rows;
  int64_t in;
  int64_t out;
  std::vector<int64_t> ranks;
  bool transposed = false;
  bool bias = false;
};

// A linear layer with random contents, and what it should compute.
class Layer {
 public:
  Layer(const Shape& shape, DType dtype, DType adapter_dtype, Random& random)
      : shape_(shape),
        weight_(dtype, shape.transposed ? shape.in : shape.out,
                shape.transposed ? shape.out : shape.in, random),
        bias_(adapter_dtype, 1, shape.out, random) {
    plan.weight = weight_.view();
    plan.transposed = shape.transposed;
    if (shape.bias) plan.bias = bias_.vector();
    for (int64_t rank : shape.ranks) {
      a_.emplace_back(adapter_dtype, rank, shape.in, random);
      b_.emplace_back(adapter_dtype, shape.out, rank, random);
    }
    if (!shape.ranks.empty()) plan.stages.emplace_back();
    for (size_t i = 0; i < shape.ranks.size(); ++i) {
      plan.stages[0].low_rank.push_back(
          {a_[i].view(), b_[i].view(), 0.5f - 0.75f * static_cast<float>(i)});
    }
  }

  // In double. *size becomes the sum of all products' magnitudes, to which
  // rounding errors are in proportion.
  double Expected(const RandomRows& x, int64_t row, int64_t o,
                  double* size) const {
    double sum = shape_.bias ? bias_.At(0, o) : 0;
    *size = std::abs(sum);
    for (int64_t i = 0; i < shape_.in; ++i) {
      const double product =
          double{x.At(row, i)} *
          (shape_.transposed ? weight_.At(i, o) : weight_.At(o, i));
      sum += product;
      *size += std::abs(product);
    }
    return sum + ExpectedLowRank(x, row, o, size);
  }

  double ExpectedLowRank(const RandomRows& x, int64_t row, int64_t o,
                         double* size) const {
    double sum = 0;
    for (size_t s = 0; s < a_.size(); ++s) {
      for (int64_t r = 0; r < shape_.ranks[s]; ++r) {
        double thin = 0;
        double thin_size = 0;
        for (int64_t i = 0; i < shape_.in; ++i) {
          const double product = double{x.At(row, i)} * a_[s].At(r, i);
          thin += product;
          thin_size += std::abs(product);
        }
        const double factor =
            double{plan.stages[0].low_rank[s].scale} * b_[s].At(o, r);
        sum += factor * thin;
        *size += std::abs(factor) * thin_size;
      }
    }
    return sum;
  }

  RandomMatrix& weight() { return weight_; }

  LinearPlan plan;

 private:
  const Shape shape_;
  RandomMatrix weight_;
  RandomMatrix bias_;
  std::vector<RandomMatrix> a_;
  std::vector<RandomMatrix> b_;
};

// Some roundings of f32 more than a sum of that size needs.
double Tolerance(double size) { return 1e-6 * size + 1e-30; }

std::vector<float> Workspace(const LinearPlan& plan, int64_t rows) {
  // At an odd float, and NaN: nothing may rely on what is there.
  return std::vector<float>(LinearWorkspaceFloats(plan, rows) + 1,
                            std::numeric_limits<float>::quiet_NaN());
}

void RunInto(const Layer& layer, RandomRows& x, RandomRows& y,
             ThreadPool& pool) {
  std::vector<float> workspace = Workspace(layer.plan, x.view().rows);
  RunLinear(layer.plan, x.view(), y.view(), workspace.data() + 1, pool);
}

void ExpectRight(const Layer& layer, const RandomRows& x, const RandomRows& y,
                 const Shape& shape) {
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t o = 0; o < shape.out; ++o) {
      double size = 0;
      const double expected = layer.Expected(x, row, o, &size);
      ASSERT_NEAR(y.At(row, o), expected, Tolerance(size))
          << "row " << row << " output " << o << " of " << shape.rows << " x "
          << shape.in << " x " << shape.out;
    }
  }
}

Shape RandomShape(Random& random) {
  const auto pick = [&](std::vector<int64_t> choices) {
    return choices[random() % choices.size()];
  };
  Shape shape;
  shape.rows = pick({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 22, 50});
  shape.in = pick({0, 1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 100, 129, 260});
  shape.out = pick({1, 2, 5, 7, 8, 15, 16, 17, 32, 47, 48, 49, 64, 100, 145});
  const int64_t segments = pick({0, 0, 1, 2, 3});
  for (int64_t i = 0; i < segments; ++i) {
    shape.ranks.push_back(pick({0, 1, 2, 4, 8, 16, 17}));
  }
  shape.transposed = random() % 4 == 0;
  shape.bias = random() % 2 == 0;
  return shape;
}

class LinearTest : public KernelTest {};
PEFT_FOR_EACH_PRODUCT_KERNEL(LinearTest);

TEST_P(LinearTest, MatchesDoublePrecisionOnRandomShapes) {
  Random random(7);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (int i = 0; i < 250 && !HasFatalFailure(); ++i) {
    const Shape shape = RandomShape(random);
    const Layer layer(shape, kDTypes[i % 3], kDTypes[i / 3 % 3], random);
    RandomRows x(shape.rows, shape.in, random() % 3, random);
    RandomRows y(shape.rows, shape.out, random() % 3, random);
    RunInto(layer, x, y, *pool);
    ExpectRight(layer, x, y, shape);
    EXPECT_TRUE(y.GapsAreUntouched());
  }
}

TEST_P(LinearTest, StagesAddToWhatIsThere) {
  Random random(8);
  for (int64_t rows : {1, 5, 12}) {
    const Shape shape = {rows, 70, 90, {4, 0, 9}};
    const Layer layer(shape, DType::kF32, DType::kBF16, random);
    RandomRows x(rows, shape.in, 0, random);
    RandomRows y(rows, shape.out, 1, random);
    const RandomRows before = y;
    std::vector<float> workspace = Workspace(layer.plan, rows);
    const LinearGroup group = {&layer.plan, rows};
    RunStages(absl::MakeConstSpan(&group, 1), x.view(), y.view(),
              workspace.data() + 1, InlineThreadPool());
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t o = 0; o < shape.out; ++o) {
        double size = std::abs(before.At(row, o));
        const double delta = layer.ExpectedLowRank(x, row, o, &size);
        EXPECT_NEAR(y.At(row, o), before.At(row, o) + delta, Tolerance(size));
      }
    }
  }
}

TEST_P(LinearTest, ManySegmentsAllCount) {
  Random random(9);
  for (int64_t rows : {2, 20}) {
    const Shape shape = {rows, 40, 30, std::vector<int64_t>(40, 3)};
    const Layer layer(shape, DType::kF16, DType::kF32, random);
    RandomRows x(rows, shape.in, 0, random);
    RandomRows y(rows, shape.out, 0, random);
    RunInto(layer, x, y, InlineThreadPool());
    ExpectRight(layer, x, y, shape);
  }
}

TEST_P(LinearTest, LongInputsAndHighRanks) {
  Random random(13);
  for (const int64_t rows : {1, 6, 12}) {
    const Shape shape = {rows, 1003, 3, {512, 65}, false, true};
    const Layer layer(shape, DType::kBF16, DType::kF32, random);
    RandomRows x(rows, shape.in, 1, random);
    RandomRows y(rows, shape.out, 0, random);
    RunInto(layer, x, y, InlineThreadPool());
    ExpectRight(layer, x, y, shape);
  }
}

// Rows of weights that are long enough to be read in another way.
TEST_P(LinearTest, LongRowsOfWeights) {
  Random random(14);
  for (const int64_t rows : {2, 3, 4, 7, 8}) {
    const Shape shape = {rows, 2071, 29, {16}, false, true};
    const Layer layer(shape, kDTypes[rows % 3], DType::kF32, random);
    RandomRows x(rows, shape.in, 1, random);
    RandomRows y(rows, shape.out, 0, random);
    RunInto(layer, x, y, InlineThreadPool());
    ExpectRight(layer, x, y, shape);
  }
}

TEST_P(LinearTest, ManyPiecesAndBlocksOfRows) {
  Random random(10);
  const Shape shape = {500, 150, 60, {8}, false, true};
  const Layer layer(shape, DType::kBF16, DType::kF16, random);
  RandomRows x(shape.rows, shape.in, 0, random);
  RandomRows y(shape.rows, shape.out, 0, random);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(4);
  RunInto(layer, x, y, *pool);
  ExpectRight(layer, x, y, shape);
}

// Runs the first `rows` rows alone and expects what the whole run gave.
void ExpectRowsAreTheirOwn(const Shape& shape, std::vector<int64_t> fewer,
                           DType dtype = DType::kF16) {
  Random random(12);
  const Layer layer(shape, dtype, DType::kBF16, random);
  RandomRows x(shape.rows, shape.in, 0, random);
  RandomRows whole(shape.rows, shape.out, 0, random);
  RunInto(layer, x, whole, InlineThreadPool());
  for (int64_t rows : fewer) {
    RandomRows y(rows, shape.out, 0, random);
    std::vector<float> workspace = Workspace(layer.plan, rows);
    const Rows all = x.view();
    RunLinear(layer.plan, ConstRows(all.data, rows, all.cols, all.stride),
              y.view(), workspace.data(), InlineThreadPool());
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t o = 0; o < shape.out; ++o) {
        ASSERT_EQ(y.At(row, o), whole.At(row, o)) << rows << " rows";
      }
    }
  }
}

TEST_P(LinearTest, FewRowsDoNotDependOnEachOther) {
  for (const int64_t in : {331, 2071}) {
    ExpectRowsAreTheirOwn({8, in, 77, {16}, false, true}, {1, 2, 3, 4, 5, 7});
  }
}

TEST_P(LinearTest, ManyRowsDoNotDependOnEachOther) {
  for (const DType dtype : kDTypes) {
    ExpectRowsAreTheirOwn({60, 331, 77, {16}, false, true},
                          {9, 10, 15, 16, 33, 48}, dtype);
  }
}

TEST_P(LinearTest, TransposedRowsDoNotDependOnEachOther) {
  Shape shape = {20, 331, 77, {}, true, true};
  ExpectRowsAreTheirOwn(shape, {1, 2, 8, 9, 19});
}

void ExpectIeee(int64_t rows, DType dtype, Random& random) {
  const Shape shape = {rows, 50, 40, {}};
  Layer layer(shape, dtype, DType::kF32, random);
  layer.weight().Set(5, 49, std::numeric_limits<float>::infinity());
  RandomRows x(rows, shape.in, 0, random);
  RandomRows y(rows, shape.out, 0, random);
  x.At(0, 49) = 2.0f;
  x.At(1, 49) = 0.0f;
  x.At(2, 49) = std::numeric_limits<float>::quiet_NaN();
  RunInto(layer, x, y, InlineThreadPool());
  EXPECT_EQ(y.At(0, 5), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(y.At(1, 5)));
  EXPECT_TRUE(std::isnan(y.At(2, 0)));
  EXPECT_TRUE(std::isfinite(y.At(0, 4)));
  EXPECT_TRUE(std::isfinite(y.At(1, 6)));
}

TEST_P(LinearTest, NanAndInfinityGoWhereTheyBelong) {
  Random random(13);
  for (const int64_t rows : {3, 24}) {
    for (const DType dtype : kDTypes) ExpectIeee(rows, dtype, random);
  }
}

// Infinity times a part that is 0 would be NaN.
TEST_P(LinearTest, LargestActivationsAndInfinityCount) {
  Random random(15);
  const Shape shape = {30, 40, 20, {}};
  Layer layer(shape, DType::kBF16, DType::kF32, random);
  for (int64_t o = 0; o < shape.out; ++o) layer.weight().Set(o, 7, 0.5f);
  RandomRows x(shape.rows, shape.in, 0, random);
  RandomRows y(shape.rows, shape.out, 0, random);
  x.At(4, 7) = std::numeric_limits<float>::max();
  x.At(5, 7) = std::numeric_limits<float>::infinity();
  RunInto(layer, x, y, InlineThreadPool());
  for (int64_t o = 0; o < shape.out; ++o) {
    EXPECT_EQ(y.At(4, o), std::numeric_limits<float>::max() / 2);
    EXPECT_EQ(y.At(5, o), std::numeric_limits<float>::infinity());
  }
}

// The largest error, as a part of what the sum's magnitudes add up to.
double LargestError(const Layer& layer, const RandomRows& x,
                    const RandomRows& y, const Shape& shape) {
  double largest = 0;
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t o = 0; o < shape.out; ++o) {
      double size = 0;
      const double expected = layer.Expected(x, row, o, &size);
      largest = std::max(largest, std::abs(y.At(row, o) - expected) / size);
    }
  }
  return largest;
}

TEST_P(LinearTest, InputsAreRoundedWhereThatIsAskedForAndFaster) {
  Random random(16);
  const bool has_bf16 =
      std::string(GetParam()->name).find("avx512_bf16") == 0 ||
      std::string(GetParam()->name).find("amx") != std::string::npos;
  for (const DType dtype : kDTypes) {
    const Shape shape = {35, 600, 50, {2}, false, true};
    const Layer layer(shape, dtype, DType::kF32, random);
    RandomRows x(shape.rows, shape.in, 1, random);
    RandomRows y(shape.rows, shape.out, 1, random);
    std::vector<float> workspace = Workspace(layer.plan, shape.rows);
    const LinearGroup group = {&layer.plan, shape.rows};
    const LinearCall call = {absl::MakeConstSpan(&group, 1), y.view(),
                             /*round_inputs=*/true};
    RunLinears(absl::MakeConstSpan(&call, 1), x.view(), workspace.data(),
               InlineThreadPool());
    const double error = LargestError(layer, x, y, shape);
    EXPECT_LT(error, 1.0 / 512);  // half a unit of bf16's last digit
    EXPECT_EQ(error > 1e-5, has_bf16 && dtype == DType::kBF16) << error;
    EXPECT_TRUE(y.GapsAreUntouched());
  }
}

TEST_P(LinearTest, WorkspaceIsLargeEnough) {
  Random random(14);
  for (int64_t rows : {1, 9, 100}) {
    const Shape shape = {rows, 20, 10, {1, 16, 17, 0, 40}};
    const Layer layer(shape, DType::kF32, DType::kF32, random);
    RandomRows x(rows, shape.in, 0, random);
    RandomRows y(rows, shape.out, 0, random);
    std::vector<float> workspace(LinearWorkspaceFloats(layer.plan, rows) + 64,
                                 123.0f);
    RunLinear(layer.plan, x.view(), y.view(), workspace.data(),
              InlineThreadPool());
    for (size_t i = workspace.size() - 64; i < workspace.size(); ++i) {
      EXPECT_EQ(workspace[i], 123.0f);
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
