#include "kernels/stacked_downs.h"

#include <deque>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kIn = 420;  // more than one panel
constexpr int64_t kOut = 50;
constexpr int kLayers = 3;

// Layers of one input, each with a low-rank term.
class StackedDownsTest : public KernelTest {
 protected:
  void MakeLayers(int layers, int64_t rows, int64_t rank, DType dtype) {
    random_.seed(static_cast<unsigned>(layers * 1000 + rows + rank));
    rows_ = rows;
    plans_.clear();
    matrices_.clear();
    for (int i = 0; i < layers; ++i) {
      LinearPlan& plan = plans_.emplace_back();
      plan.weight = Matrix(DType::kBF16, kOut, kIn);
      plan.stages.resize(1);
      const MatrixView a = Matrix(dtype, rank, kIn);
      plan.stages[0].low_rank.push_back(
          {a, Matrix(DType::kF32, kOut, rank), 0.5f});
    }
    x_ = std::make_unique<RandomRows>(rows, kIn, 1, random_);
  }

  MatrixView Matrix(DType dtype, int64_t rows, int64_t cols) {
    return matrices_.emplace_back(dtype, rows, cols, random_).view();
  }

  LinearPlan& LastPlan() { return plans_.back(); }
  LowRankSegment& LastTerm() { return LastPlan().stages[0].low_rank[0]; }

  // Whether the first factors of all layers are one product.
  bool AreStacked() {
    MakeCalls();
    ProductQueue queue(InlineThreadPool());
    StackOfDowns stack;
    std::vector<float> workspace(floats_);
    const StackedDowns stacked =
        QueueStack(calls_, x_->view(), workspace.data(), stack, queue);
    queue.Run();
    return stacked.thin != nullptr;
  }

  // Whether one call for all layers gives what one for each does.
  void ExpectAsAlone() {
    MakeCalls();
    std::vector<float> workspace(floats_ + 1, 5.0f);
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
    RunLinears(calls_, x_->view(), workspace.data(), *pool);
    EXPECT_EQ(workspace.back(), 5.0f);
    for (size_t i = 0; i < plans_.size(); ++i) {
      RandomRows alone(rows_, kOut, 0, random_);
      std::vector<float> own(LinearWorkspaceFloats(plans_[i], rows_));
      RunLinear(plans_[i], x_->view(), alone.view(), own.data(),
                InlineThreadPool());
      for (int64_t row = 0; row < rows_; ++row) {
        for (int64_t o = 0; o < kOut; ++o) {
          ASSERT_EQ(outputs_[i].At(row, o), alone.At(row, o)) << i;
        }
      }
    }
  }

 private:
  void MakeCalls() {
    calls_.clear();
    outputs_.clear();
    groups_.clear();
    floats_ = 0;
    for (const LinearPlan& plan : plans_) {
      groups_.push_back({&plan, rows_});
      outputs_.emplace_back(rows_, kOut, 1, random_);
      calls_.push_back(
          {absl::MakeConstSpan(&groups_.back(), 1), outputs_.back().view()});
      floats_ += LinearWorkspaceFloats(plan, rows_);
    }
  }

  Random random_;
  int64_t rows_ = 0;
  int64_t floats_ = 0;
  std::deque<RandomMatrix> matrices_;
  std::deque<LinearPlan> plans_;
  std::deque<LinearGroup> groups_;
  std::deque<RandomRows> outputs_;
  std::vector<LinearCall> calls_;
  std::unique_ptr<RandomRows> x_;
};

TEST_P(StackedDownsTest, FactorsThatAreAlikeAreOneProductWithTheSameResults) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t rank : {16, 32, 48, 64}) {
      for (const int64_t rows : {9, 48, 101}) {
        for (int layers = 2; layers <= kMaxLinears; ++layers) {
          MakeLayers(layers, rows, rank, dtype);
          // Of wider ones AMX makes better products.
          EXPECT_TRUE(AreStacked() || rank > 16);
          ExpectAsAlone();
        }
      }
    }
  }
}

TEST_P(StackedDownsTest, FactorsThatDifferAreProductsOfTheirOwn) {
  const auto expect_alone = [&](auto change) {
    MakeLayers(kLayers, 20, 16, DType::kF32);
    change(LastTerm());
    EXPECT_FALSE(AreStacked());
    ExpectAsAlone();
  };
  expect_alone([](LowRankSegment& term) { term.scale = 2.0f; });
  expect_alone([](LowRankSegment& term) { term.a.rows = term.b.cols = 0; });
  expect_alone([](LowRankSegment& term) { term.a.rows = term.b.cols = 15; });
  expect_alone(
      [&](LowRankSegment& term) { term.a = Matrix(DType::kBF16, 16, kIn); });
  expect_alone([](LowRankSegment& term) {
    static const float kScale[16] = {1.0f, 2.0f};
    term.rank_scale = {kScale, DType::kF32, 16};
  });
}

TEST_P(StackedDownsTest, LayersThatNeedTheWorkspaceFirstAreNotStacked) {
  const auto expect_alone = [&](auto change) {
    MakeLayers(kLayers, 20, 16, DType::kF32);
    change(LastPlan());
    EXPECT_FALSE(AreStacked());
    ExpectAsAlone();
  };
  expect_alone([](LinearPlan& plan) {
    static const std::vector<float> kScale(kIn, 2.0f);
    plan.in_scale = {kScale.data(), DType::kF32, kIn};
  });
  expect_alone([](LinearPlan& plan) {
    static const int64_t kIds[] = {3, 7};
    plan.patch = {kIds, plan.weight};
    plan.patch.rows.rows = 2;
  });
}

TEST_P(StackedDownsTest, FewRowsAndLayersAloneAreNotStacked) {
  MakeLayers(kLayers, kFewRows, 16, DType::kF32);
  EXPECT_FALSE(AreStacked());
  ExpectAsAlone();
  MakeLayers(1, 20, 16, DType::kF32);
  EXPECT_FALSE(AreStacked());
  ExpectAsAlone();
}

PEFT_FOR_EACH_PRODUCT_KERNEL(StackedDownsTest);

}  // namespace
}  // namespace kernels
}  // namespace peft
