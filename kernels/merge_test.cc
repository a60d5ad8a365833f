#include "kernels/merge.h"

#include <cmath>
#include <deque>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

// More than a tile in both directions.
constexpr int64_t kIn = 401;
constexpr int64_t kOut = 97;

enum class Steps { kOne, kAll };

// A plan with everything that a layer of that layout can have, or with one
// stage and nothing else, which is merged without a tile between.
class FullPlan {
 public:
  FullPlan(WeightLayout layout, DType dtype, Random& random,
           Steps steps = Steps::kAll)
      : layout_(layout),
        weight_(dtype, layout == WeightLayout::kOutputsFirst ? kOut : kIn,
                layout == WeightLayout::kOutputsFirst ? kIn : kOut, random),
        patch_(DType::kF16, 3, layout == WeightLayout::kTable ? kOut : kIn,
               random) {
    plan_.weight = weight_.view();
    plan_.transposed = layout == WeightLayout::kInputsFirst;
    AddStage({3, 0, 130}, random);
    if (steps == Steps::kOne) return;
    if (layout != WeightLayout::kTable) plan_.in_scale = Vector(kIn, random);
    plan_.patch = {ids_.data(), patch_.view()};
    AddStage({}, random);
    AddStage(std::vector<int64_t>(18, 2), random);
    plan_.stages.emplace_back();
    plan_.stages.back().low_rank = {Segment(5, random)};
  }

  const LinearPlan& plan() const { return plan_; }

  std::vector<float> Merged(DType dtype, ThreadPool& pool) const {
    const int64_t count = plan_.weight.rows * plan_.weight.cols;
    std::vector<char> bytes(count * DTypeSize(dtype));
    std::vector<float> workspace(MergeWorkspaceFloats(plan_));
    MergeWeight(plan_, layout_, dtype, bytes.data(), workspace.data(), pool);
    std::vector<float> values(count);
    ConvertToF32(dtype, bytes.data(), count, values.data());
    return values;
  }

  // What the plan computes on the unit vectors, (in, out).
  std::vector<float> Applied() const {
    std::vector<float> y(kIn * kOut);
    const Rows out = {y.data(), kIn, kOut, kOut};
    if (layout_ == WeightLayout::kTable) {
      std::vector<int64_t> ids;
      for (int64_t i = 0; i < kIn; ++i) ids.push_back(i);
      const LinearGroup group = {&plan_, kIn};
      const auto groups = absl::MakeConstSpan(&group, 1);
      std::vector<float> workspace(EmbeddingWorkspaceFloats(groups));
      RunEmbedding(groups, ids.data(), out, workspace.data(),
                   InlineThreadPool());
      return y;
    }
    std::vector<float> unit(kIn * kIn);
    for (int64_t i = 0; i < kIn; ++i) unit[i * kIn + i] = 1.0f;
    std::vector<float> workspace(LinearWorkspaceFloats(plan_, kIn));
    RunLinear(plan_, ConstRows(unit.data(), kIn, kIn, kIn), out,
              workspace.data(), InlineThreadPool());
    return y;
  }

  // Where element (in, out) lies.
  int64_t Index(int64_t i, int64_t o) const {
    return layout_ == WeightLayout::kOutputsFirst ? o * kIn + i : i * kOut + o;
  }

 private:
  VectorView Vector(int64_t size, Random& random) {
    vectors_.push_back(RandomFloats(size, random));
    return {vectors_.back().data(), DType::kF32, size};
  }

  LowRankSegment Segment(int64_t rank, Random& random) {
    const DType dtype = rank % 2 == 0 ? DType::kF32 : DType::kBF16;
    factors_.emplace_back(dtype, rank, kIn, random);
    const MatrixView a = factors_.back().view();
    factors_.emplace_back(DType::kF16, kOut, rank, random);
    LowRankSegment segment = {a, factors_.back().view(), 0.375f};
    if (rank == 3) segment.rank_scale = Vector(rank, random);
    return segment;
  }

  void AddStage(const std::vector<int64_t>& ranks, Random& random) {
    LinearStage stage;
    for (const int64_t rank : ranks) {
      stage.low_rank.push_back(Segment(rank, random));
    }
    stage.out_scale = Vector(kOut, random);
    plan_.stages.push_back(std::move(stage));
  }

  WeightLayout layout_;
  RandomMatrix weight_;
  RandomMatrix patch_;
  std::vector<int64_t> ids_ = {1, 50, kOut - 1};
  std::deque<std::vector<float>> vectors_;
  std::deque<RandomMatrix> factors_;
  LinearPlan plan_;
};

constexpr WeightLayout kLayouts[] = {WeightLayout::kOutputsFirst,
                                     WeightLayout::kInputsFirst,
                                     WeightLayout::kTable};
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

class MergeTest : public KernelTest {};
PEFT_FOR_EACH_KERNEL(MergeTest);

void ExpectMergedIsApplied(const FullPlan& plan) {
  const std::vector<float> merged =
      plan.Merged(DType::kF32, InlineThreadPool());
  const std::vector<float> applied = plan.Applied();
  for (int64_t i = 0; i < kIn; ++i) {
    for (int64_t o = 0; o < kOut; ++o) {
      const float expected = applied[i * kOut + o];
      ASSERT_NEAR(merged[plan.Index(i, o)], expected,
                  2e-4 + 1e-5 * std::abs(expected))
          << "input " << i << " output " << o;
    }
  }
}

TEST_P(MergeTest, IsThePlanAppliedToTheUnitVectors) {
  for (const WeightLayout layout : kLayouts) {
    Random random(static_cast<unsigned>(layout));
    ExpectMergedIsApplied(FullPlan(layout, DType::kBF16, random));
  }
}

TEST_P(MergeTest, OneStageIsAppliedToTheUnitVectors) {
  for (const WeightLayout layout : kLayouts) {
    Random random(10 + static_cast<unsigned>(layout));
    ExpectMergedIsApplied(FullPlan(layout, DType::kF16, random, Steps::kOne));
  }
}

TEST_P(MergeTest, RoundsOnceToTheDType) {
  Random random(7);
  const FullPlan plan(WeightLayout::kOutputsFirst, DType::kF32, random);
  const std::vector<float> exact = plan.Merged(DType::kF32, InlineThreadPool());
  for (const DType dtype : kDTypes) {
    std::vector<char> bytes(exact.size() * DTypeSize(dtype));
    std::vector<float> rounded(exact.size());
    ConvertFromF32(exact.data(), exact.size(), dtype, bytes.data());
    ConvertToF32(dtype, bytes.data(), exact.size(), rounded.data());
    EXPECT_EQ(plan.Merged(dtype, InlineThreadPool()), rounded);
  }
}

TEST_P(MergeTest, DoesNotDependOnTheNumberOfThreads) {
  Random random(8);
  const FullPlan plan(WeightLayout::kInputsFirst, DType::kF32, random);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  EXPECT_EQ(plan.Merged(DType::kF32, *pool),
            plan.Merged(DType::kF32, InlineThreadPool()));
}

TEST_P(MergeTest, APlanWithNothingKeepsTheWeight) {
  Random random(9);
  for (const DType dtype : kDTypes) {
    const RandomMatrix weight(dtype, 50, 70, random);
    LinearPlan plan;
    plan.weight = weight.view();
    std::vector<char> merged(50 * 70 * DTypeSize(dtype));
    MergeWeight(plan, WeightLayout::kOutputsFirst, dtype, merged.data(),
                nullptr, InlineThreadPool());
    std::vector<float> values(50 * 70);
    ConvertToF32(dtype, merged.data(), 50 * 70, values.data());
    for (int64_t row = 0; row < 50; ++row) {
      for (int64_t col = 0; col < 70; ++col) {
        ASSERT_EQ(values[row * 70 + col], weight.At(row, col));
      }
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
