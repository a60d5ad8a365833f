// Stacks of stages, and several plans in one call.

#include <cmath>
#include <deque>
#include <limits>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/linear.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_plan.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kIn = RandomPlan::kIn;
constexpr int64_t kOut = RandomPlan::kOut;

// Some plans of one layer, two of them perhaps with a weight of their own.
class LinearGroupsTest : public KernelTest {
 protected:
  void MakePlans(int64_t rows, Random& random) {
    const bool transposed = random() % 4 == 0;
    const DType dtype = random() % 2 == 0 ? DType::kF32 : DType::kBF16;
    const size_t first = weights_.size();
    for (int i = 0; i < 2; ++i) {
      weights_.emplace_back(dtype, transposed ? kIn : kOut,
                            transposed ? kOut : kIn, random);
    }
    while (rows > 0) {
      const int64_t count = 1 + random() % rows;
      const RandomMatrix& weight =
          weights_[first + (random() % 4 == 0 ? 1 : 0)];
      plans_.emplace_back(&weight, transposed, count, random);
      groups_.push_back(plans_.back().group());
      rows -= count;
    }
  }

  void ExpectRight(const RandomRows& x, const RandomRows& y) {
    int64_t row = 0;
    for (size_t i = 0; i < plans_.size(); ++i) {
      for (int64_t j = 0; j < groups_[i].rows; ++j, ++row) {
        for (int64_t o = 0; o < kOut; ++o) {
          double size = 0;
          const double expected = plans_[i].Expected(x, row, j, o, &size);
          ASSERT_NEAR(y.At(row, o), expected, 2e-6 * size + 1e-30)
              << "group " << i << " of " << plans_.size() << " row " << row
              << " output " << o;
        }
      }
    }
  }

  std::deque<RandomMatrix> weights_;
  std::deque<RandomPlan> plans_;
  std::vector<LinearGroup> groups_;
};
PEFT_FOR_EACH_PRODUCT_KERNEL(LinearGroupsTest);

TEST_P(LinearGroupsTest, EveryRowRunsItsOwnStack) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (int i = 0; i < 120 && !HasFatalFailure(); ++i) {
    Random random(i);
    plans_.clear();
    weights_.clear();
    groups_.clear();
    const int64_t rows = i % 3 == 0 ? 1 + i % 8 : 1 + random() % 40;
    MakePlans(rows, random);
    RandomRows x(rows, kIn, i % 3, random);
    RandomRows y(rows, kOut, i % 2, random);
    std::vector<float> workspace(LinearWorkspaceFloats(groups_) + 8,
                                 std::numeric_limits<float>::quiet_NaN());
    const size_t used = workspace.size() - 8;
    std::fill(workspace.begin() + used, workspace.end(), 5.0f);
    RunLinear(groups_, x.view(), y.view(), workspace.data(), *pool);
    ExpectRight(x, y);
    EXPECT_TRUE(y.GapsAreUntouched());
    for (size_t j = used; j < workspace.size(); ++j) {
      EXPECT_EQ(workspace[j], 5.0f);
    }
  }
}

// Layers of other plans, weights and patches, in one call.
TEST_P(LinearGroupsTest, LayersThatShareAnInputAreAsTheyAreAlone) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (int i = 0; i < 40; ++i) {
    Random random(1000 + i);
    const int64_t rows = 1 + random() % 20;
    std::deque<std::vector<LinearGroup>> groups;
    std::deque<RandomRows> alone, together;
    std::vector<LinearCall> calls;
    RandomRows x(rows, kIn, 1, random);
    int64_t floats = 0;
    for (int layer = 0; layer < 1 + i % kMaxLinears; ++layer) {
      groups_.clear();
      MakePlans(rows, random);
      groups.push_back(groups_);
      alone.emplace_back(rows, kOut, 0, random);
      together.emplace_back(rows, kOut, 2, random);
      calls.push_back({groups.back(), together.back().view()});
      std::vector<float> workspace(LinearWorkspaceFloats(groups_));
      floats += LinearWorkspaceFloats(groups_);
      RunLinear(groups_, x.view(), alone.back().view(), workspace.data(),
                InlineThreadPool());
    }
    std::vector<float> workspace(floats);
    RunLinears(calls, x.view(), workspace.data(), *pool);
    for (size_t layer = 0; layer < calls.size(); ++layer) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t o = 0; o < kOut; ++o) {
          ASSERT_EQ(together[layer].At(row, o), alone[layer].At(row, o));
        }
      }
    }
  }
}

TEST_P(LinearGroupsTest, MoreGroupsThanOneHandOutTakes) {
  Random random(99);
  const RandomMatrix weight(DType::kF32, kOut, kIn, random);
  constexpr int kRows = 200;
  for (int i = 0; i < kRows; ++i) {
    plans_.emplace_back(&weight, false, 1, random);
    groups_.push_back(plans_.back().group());
  }
  RandomRows x(kRows, kIn, 0, random);
  RandomRows y(kRows, kOut, 0, random);
  std::vector<float> workspace(LinearWorkspaceFloats(groups_));
  RunLinear(groups_, x.view(), y.view(), workspace.data(), InlineThreadPool());
  ExpectRight(x, y);
}

// So many that one thread runs all of a group's terms, those of products alone
// between the pieces of base products; more products than fit the queue among
// them.
TEST_P(LinearGroupsTest, ManyGroupsRunTheirOwnStacks) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (int i = 0; i < 24 && !HasFatalFailure(); ++i) {
    Random random(500 + i);
    plans_.clear();
    groups_.clear();
    const RandomMatrix weight(i % 2 == 0 ? DType::kF32 : DType::kBF16, kOut,
                              kIn, random);
    const auto kind =
        i % 4 < 2 ? RandomPlan::kOnlyProducts : RandomPlan::kUngated;
    const int64_t groups = i < 16 ? 6 + 3 * i : 230;
    int64_t rows = 0;
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t count = random() % 4 == 0 ? 1 + random() % 8 : 1;
      plans_.emplace_back(&weight, false, count, random, kind);
      groups_.push_back(plans_.back().group());
      rows += count;
    }
    RandomRows x(rows, kIn, i % 3, random);
    RandomRows y(rows, kOut, i % 2, random);
    std::vector<float> workspace(LinearWorkspaceFloats(groups_));
    RunLinear(groups_, x.view(), y.view(), workspace.data(),
              i % 3 == 0 ? InlineThreadPool() : *pool);
    ExpectRight(x, y);
  }
}

// A layer with an adapter of some rank, and what it does to a row.
class RandomLowRank {
 public:
  RandomLowRank(const RandomMatrix& weight, DType dtype, int64_t rank,
                Random& random)
      : weight_(weight),
        a_(DType::kF32, rank, kIn, random),
        b_(dtype, kOut, rank, random),
        bias_(DType::kF16, 1, kOut, random),
        factor_(RandomFloats(kOut, random)) {
    plan_.weight = weight.view();
    plan_.bias = bias_.vector();
    plan_.stages = {
        {{{a_.view(), b_.view(), 0.5f}}, {factor_.data(), DType::kF32, kOut}}};
  }

  const LinearPlan& plan() const { return plan_; }

  // `size` becomes the sum of the magnitudes of all that is added.
  double Expected(const RandomRows& x, int64_t row, int64_t o,
                  double* size) const {
    double sum = 0;
    const auto add = [&](double value) {
      sum += value;
      *size += std::abs(value);
    };
    for (int64_t i = 0; i < kIn; ++i) add(weight_.At(o, i) * x.At(row, i));
    for (int64_t r = 0; r < a_.view().rows; ++r) {
      for (int64_t i = 0; i < kIn; ++i) {
        add(0.5 * a_.At(r, i) * x.At(row, i) * b_.At(o, r));
      }
    }
    *size *= std::abs(factor_[o]);
    return sum * factor_[o] + bias_.At(0, o);
  }

 private:
  const RandomMatrix& weight_;
  const RandomMatrix a_;
  const RandomMatrix b_;
  const RandomMatrix bias_;
  const std::vector<float> factor_;
  LinearPlan plan_;
};

TEST_P(LinearGroupsTest, RowsOfTheirOwnTakeAdaptersOfAnyRank) {
  for (int64_t rank = 1; rank < 70; rank += rank % 8 == 0 ? 1 : 3) {
    Random random(static_cast<unsigned>(rank));
    const RandomMatrix weight(DType::kF32, kOut, kIn, random);
    std::deque<RandomLowRank> adapters;
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      adapters.emplace_back(weight, dtype, rank, random);
    }
    groups_.clear();
    for (const RandomLowRank& adapter : adapters) {
      groups_.push_back({&adapter.plan(), 1});
    }
    RandomRows x(3, kIn, 1, random);
    RandomRows y(3, kOut, 2, random);
    std::vector<float> workspace(LinearWorkspaceFloats(groups_));
    RunLinear(groups_, x.view(), y.view(), workspace.data(),
              InlineThreadPool());
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t o = 0; o < kOut; ++o) {
        double size = 0;
        const double expected = adapters[row].Expected(x, row, o, &size);
        ASSERT_NEAR(y.At(row, o), expected, 2e-6 * size)
            << "rank " << rank << " row " << row << " output " << o;
      }
    }
  }
}

// A row beside others of its adapter is what it is alone.
TEST_P(LinearGroupsTest, RowsDoNotDependOnTheSizeOfTheirGroup) {
  for (int64_t rank = 1; rank < 70; ++rank) {
    Random random(static_cast<unsigned>(rank));
    const RandomMatrix weight(DType::kBF16, kOut, kIn, random);
    const RandomLowRank one(weight, DType::kF32, rank, random);
    const RandomLowRank other(weight, DType::kF32, rank, random);
    RandomRows x(6, kIn, 0, random);
    RandomRows alone(6, kOut, 0, random);
    RandomRows together(6, kOut, 0, random);
    const auto run = [&](std::vector<int64_t> sizes, RandomRows& y) {
      groups_.clear();
      for (const int64_t rows : sizes) groups_.push_back({&one.plan(), rows});
      groups_.push_back({&other.plan(), 1});
      std::vector<float> workspace(LinearWorkspaceFloats(groups_));
      RunLinear(groups_, x.view(), y.view(), workspace.data(),
                InlineThreadPool());
    };
    run({1, 1, 1, 1, 1}, alone);
    run({2, 3}, together);
    for (int64_t row = 0; row < 6; ++row) {
      for (int64_t o = 0; o < kOut; ++o) {
        ASSERT_EQ(together.At(row, o), alone.At(row, o)) << "rank " << rank;
      }
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
