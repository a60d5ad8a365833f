#include "peft_cc/adapters/site_stack.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/linear.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// A linear site of 2 inputs and 2 outputs with W = [[1, 2], [3, 4]] and bias
// [10, 20], read by x = [1, -1].
class SiteStackTest : public ::testing::Test {
 protected:
  SiteStackTest() {
    site_.name = "layer";
    site_.in_features = site_.out_features = 2;
    site_.weight = MakeTensor({2, 2}, {1, 2, 3, 4});
    site_.bias = MakeTensor({2}, {10, 20});
    plan_ = BasePlan(site_, site_.weight, site_.bias);
  }

  // Adds x -> scale * [x0 + x1... ] as one rank: A = [a0, a1], B = [b0, b1].
  static LowRank Rank1(float a0, float a1, float b0, float b1, float scale) {
    return {MakeTensor({1, 2}, {a0, a1}), MakeTensor({2, 1}, {b0, b1}), scale};
  }

  std::vector<float> Output() {
    const float x[] = {1, -1};
    std::vector<float> y(2);
    std::vector<float> workspace(kernels::LinearWorkspaceFloats(plan_, 1));
    kernels::RunLinear(plan_, {x, 1, 2, 2}, {y.data(), 1, 2, 2},
                       workspace.data(), kernels::InlineThreadPool());
    return y;
  }

  Site site_;
  kernels::LinearPlan plan_;
  PlanStorage storage_;
  SiteStack stack_{site_, plan_, storage_};
};

using Floats = std::vector<float>;

TEST_F(SiteStackTest, NothingIsTheBase) {
  EXPECT_EQ(Output(), (Floats{9, 19}));
}

TEST_F(SiteStackTest, LowRanksAndBiasesAddUp) {
  const SiteProgram one = {Rank1(1, 0, 1, 2, 2), Bias{{1, 1}}};
  const SiteProgram two = {Rank1(0, 1, 1, 0, 1)};
  ASSERT_TRUE(stack_.Add(one, 0.5f, "one").ok());
  ASSERT_TRUE(stack_.Add(two, 1, "two").ok());
  // 9 + 0.5 * 2 * 1 - 1 + 0.5, 19 + 0.5 * 2 * 2 + 0.5.
  EXPECT_EQ(Output(), (Floats{9.5f, 21.5f}));
}

TEST_F(SiteStackTest, ALowRankOfNoRankAddsNothing) {
  const SiteProgram pruned = {
      LowRank{MakeTensor({0, 2}), MakeTensor({2, 0}), 1.0f}};
  ASSERT_TRUE(stack_.Add(pruned, 1, "pruned").ok());
  EXPECT_TRUE(plan_.stages.empty());
  EXPECT_EQ(Output(), (Floats{9, 19}));
}

TEST_F(SiteStackTest, AnOuterScaleOutScalesWhatIsInside) {
  const SiteProgram lora = {Rank1(1, 0, 1, 1, 1)};
  const SiteProgram ia3 = {ScaleOut{{2, 3}, true}};
  ASSERT_TRUE(stack_.Add(lora, 1, "lora").ok());
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  EXPECT_EQ(Output(), (Floats{2 * 10, 3 * 20}));
}

TEST_F(SiteStackTest, AnInnerScaleOutLeavesWhatIsOutside) {
  const SiteProgram lora = {Rank1(1, 0, 1, 1, 1)};
  const SiteProgram ia3 = {ScaleOut{{2, 3}, true}};
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  ASSERT_TRUE(stack_.Add(lora, 1, "lora").ok());
  EXPECT_EQ(Output(), (Floats{2 * 9 + 1, 3 * 19 + 1}));
}

TEST_F(SiteStackTest, WithoutBiasTheBiasStays) {
  const SiteProgram program = {ScaleOut{{2, 3}, false}};
  ASSERT_TRUE(stack_.Add(program, 1, "a").ok());
  EXPECT_EQ(Output(), (Floats{-2 + 10, -3 + 20}));
}

TEST_F(SiteStackTest, ConsecutiveScaleOutsMultiply) {
  const SiteProgram one = {ScaleOut{{2, 3}, true}};
  const SiteProgram two = {ScaleOut{{5, 7}, true}};
  ASSERT_TRUE(stack_.Add(one, 1, "one").ok());
  ASSERT_TRUE(stack_.Add(two, 1, "two").ok());
  EXPECT_EQ(plan_.stages.size(), 1u);
  EXPECT_EQ(Output(), (Floats{10 * 9, 21 * 19}));
}

TEST_F(SiteStackTest, AnOuterScaleInIsReadByWhatIsInside) {
  const SiteProgram lora = {Rank1(1, 1, 1, 0, 1)};
  const SiteProgram ia3 = {ScaleIn{{3, 5}}};
  ASSERT_TRUE(stack_.Add(lora, 1, "lora").ok());
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  // x becomes [3, -5]: W x = [-7, -11], and the LoRA adds -2.
  EXPECT_EQ(Output(), (Floats{-7 - 2 + 10, -11 + 20}));
}

TEST_F(SiteStackTest, AnInnerScaleInIsNotReadByWhatIsOutside) {
  const SiteProgram lora = {Rank1(1, 0, 1, 0, 1)};
  const SiteProgram ia3 = {ScaleIn{{3, 5}}};
  const SiteProgram again = {ScaleIn{{1, 2}}};
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  ASSERT_TRUE(stack_.Add(lora, 1, "lora").ok());
  EXPECT_EQ(Output(), (Floats{-7 + 1 + 10, -11 + 20}));
  ASSERT_TRUE(stack_.Add(again, 1, "again").ok());
  // x is [3, -10] for the base and [1, -2] for the LoRA.
  EXPECT_EQ(Output(), (Floats{-17 + 1 + 10, -31 + 20}));
}

// DoRA of W and s B A, its norms by definition.
SiteProgram Dora(const LowRank& low_rank, Floats magnitude) {
  const Floats w = {1, 2, 3, 4};
  const Floats a = low_rank.a.ToF32();
  const Floats b = low_rank.b.ToF32();
  MagnitudeScale form;
  form.scale = low_rank.scale;
  form.magnitude = std::move(magnitude);
  for (int o = 0; o < 2; ++o) {
    double n0 = 0, n1 = 0, n2 = 0;
    for (int i = 0; i < 2; ++i) {
      const double delta = b[o] * a[i];
      n0 += w[2 * o + i] * w[2 * o + i];
      n1 += w[2 * o + i] * delta;
      n2 += delta * delta;
    }
    form.norm0.push_back(n0);
    form.norm1.push_back(n1);
    form.norm2.push_back(n2);
  }
  return {low_rank, form};
}

// m (W + s B A) x / ||W + s B A|| for output `o`.
float DoraOutput(int o, const LowRank& low_rank, float magnitude, float c) {
  const float w[] = {1, 2, 3, 4};
  const Floats a = low_rank.a.ToF32();
  const Floats b = low_rank.b.ToF32();
  const float s = c * low_rank.scale;
  const float w0 = w[2 * o] + s * b[o] * a[0];
  const float w1 = w[2 * o + 1] + s * b[o] * a[1];
  return magnitude * (w0 - w1) / std::sqrt(w0 * w0 + w1 * w1);
}

TEST_F(SiteStackTest, MagnitudesDivideByTheNormAtTheCallersScale) {
  const LowRank low_rank = Rank1(1, 2, 3, -1, 0.5f);
  const SiteProgram dora = Dora(low_rank, {2, 3});
  ASSERT_TRUE(stack_.Add(dora, 0.25f, "dora").ok());
  const Floats y = Output();
  EXPECT_NEAR(y[0], 10 + DoraOutput(0, low_rank, 2, 0.25f), 1e-5);
  EXPECT_NEAR(y[1], 20 + DoraOutput(1, low_rank, 3, 0.25f), 1e-5);
}

TEST_F(SiteStackTest, MagnitudesStayWithScaleZero) {
  const LowRank low_rank = Rank1(1, 2, 3, -1, 0.5f);
  const SiteProgram dora = Dora(low_rank, {2, 3});
  ASSERT_TRUE(stack_.Add(dora, 0, "dora").ok());
  EXPECT_NEAR(Output()[0], 10 + DoraOutput(0, low_rank, 2, 0), 1e-5);
}

TEST_F(SiteStackTest, ASecondDoraScalesTheFirst) {
  const SiteProgram one = Dora(Rank1(1, 2, 3, -1, 0.5f), {2, 3});
  const LowRank second = Rank1(0, 1, 1, 1, 2);
  const SiteProgram two = Dora(second, {5, 7});
  ASSERT_TRUE(stack_.Add(one, 1, "one").ok());
  const float before = Output()[0] - 10;
  ASSERT_TRUE(stack_.Add(two, 1, "two").ok());
  // ||W + s B A|| of output 0 is ||[1, 4]||; the second adds 2 * -1.
  EXPECT_NEAR(Output()[0], 10 + 5 / std::sqrt(17.0f) * (before - 2), 1e-5);
}

TEST_F(SiteStackTest, AnInnerScaleOutScalesTrainedBiasesOfAnOuterProgram) {
  const SiteProgram ia3 = {ScaleOut{{2, 3}, true}};
  const SiteProgram trained = {Bias{{1, 5}, /*of_base=*/true}};
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  ASSERT_TRUE(stack_.Add(trained, 0.5f, "trained").ok());
  EXPECT_EQ(Output(), (Floats{2 * (9 + 0.5f), 3 * (19 + 2.5f)}));
}

// A program whose MagnitudeScale multiplies with 2 and 3.
SiteProgram TwoAndThree() {
  MagnitudeScale form;
  form.magnitude = {2, 3};
  form.norm0 = {1, 1};
  form.norm1 = form.norm2 = {0, 0};
  return {form};
}

TEST_F(SiteStackTest, MagnitudesScaleWhatIsNotTheLayersOwnBias) {
  const SiteProgram inner = {ScaleOut{{5, 7}, true}, Bias{{1, 1}}};
  const SiteProgram dora = TwoAndThree();
  ASSERT_TRUE(stack_.Add(inner, 1, "inner").ok());
  ASSERT_TRUE(stack_.Add(dora, 1, "dora").ok());
  // y = b + f (y' - b) with y' = [5 * 9 + 1, 7 * 19 + 1].
  EXPECT_EQ(Output(), (Floats{10 + 2 * (46 - 10), 20 + 3 * (134 - 20)}));
}

TEST_F(SiteStackTest, MagnitudesLeaveTrainedBiasesWhereverTheyCome) {
  const SiteProgram ia3 = {ScaleOut{{5, 7}, true}};
  const SiteProgram dora = TwoAndThree();
  const SiteProgram trained = {Bias{{1, 2}, /*of_base=*/true}};
  ASSERT_TRUE(stack_.Add(ia3, 1, "ia3").ok());
  ASSERT_TRUE(stack_.Add(dora, 1, "dora").ok());
  ASSERT_TRUE(stack_.Add(trained, 1, "trained").ok());
  // As above, with b = [11, 22].
  EXPECT_EQ(Output(), (Floats{11 + 2 * (5 * 10 - 11), 22 + 3 * (7 * 21 - 22)}));
}

TEST_F(SiteStackTest, ScaleZeroLeavesAProgramOut) {
  const SiteProgram replace = {Replace{MakeTensor({2, 2}, {9}), Tensor()}};
  const SiteProgram ia3 = {ScaleOut{{2, 3}, true}};
  const SiteProgram lora = {Rank1(1, 0, 1, 1, 1), Bias{{5, 5}}};
  for (const SiteProgram& program : {replace, ia3, lora}) {
    ASSERT_TRUE(stack_.Add(program, 0, "a").ok());
  }
  EXPECT_EQ(Output(), (Floats{9, 19}));
  EXPECT_TRUE(plan_.stages.empty());
}

TEST_F(SiteStackTest, AReplacedLayerHasItsOwnBias) {
  const Tensor weight = MakeTensor({2, 2}, {1, 0, 0, 1});
  const SiteProgram with = {Replace{weight, MakeTensor({2}, {100, 200})}};
  ASSERT_TRUE(stack_.Add(with, 1, "a").ok());
  EXPECT_EQ(Output(), (Floats{101, 199}));
}

TEST_F(SiteStackTest, ReplacingKeepsWhatOthersAddToTheBias) {
  const SiteProgram bias = {Bias{{1, 2}}};
  const Tensor weight = MakeTensor({2, 2}, {1, 0, 0, 1});
  const SiteProgram replace = {Replace{weight, MakeTensor({2}, {100, 200})}};
  ASSERT_TRUE(stack_.Add(bias, 1, "bias").ok());
  ASSERT_TRUE(stack_.Add(replace, 1, "replace").ok());
  EXPECT_EQ(Output(), (Floats{102, 201}));
}

TEST_F(SiteStackTest, RowsOfALinearLayerAreItsOutputs) {
  const SiteProgram rows = {ReplaceRows{{1}, MakeTensor({1, 2}, {7, 3})}};
  ASSERT_TRUE(stack_.Add(rows, 1, "a").ok());
  EXPECT_EQ(Output(), (Floats{9, 4 + 20}));
}

TEST_F(SiteStackTest, RowsOfTwoAdaptersAreJoined) {
  const SiteProgram one = {ReplaceRows{{1}, MakeTensor({1, 2}, {7, 3})}};
  const SiteProgram two = {ReplaceRows{{0}, MakeTensor({1, 2}, {5, 0})}};
  ASSERT_TRUE(stack_.Add(one, 1, "one").ok());
  ASSERT_TRUE(stack_.Add(two, 1, "two").ok());
  EXPECT_EQ(Output(), (Floats{5 + 10, 4 + 20}));
}

TEST_F(SiteStackTest, WhatCannotActTogetherIsAConflict) {
  const SiteProgram replace = {Replace{site_.weight, site_.bias}};
  const SiteProgram dora = Dora(Rank1(1, 2, 3, -1, 0.5f), {2, 3});
  const SiteProgram rows = {ReplaceRows{{1}, MakeTensor({1, 2}, {7, 3})}};
  ASSERT_TRUE(stack_.Add(replace, 1, "first").ok());
  ASSERT_TRUE(stack_.Add(rows, 1, "rows").ok());
  for (const SiteProgram& program : {replace, dora, rows}) {
    const absl::Status status = stack_.Add(program, 1, "second");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConflict);
  }
  EXPECT_EQ(Output(), (Floats{9, 4 + 20}));
}

TEST_F(SiteStackTest, RankScalesMultiplyTheThinProduct) {
  LowRank low_rank = Rank1(1, 0, 1, 2, 2);
  low_rank.rank_scale = {3};
  const SiteProgram program = {low_rank};
  ASSERT_TRUE(stack_.Add(program, 1, "a").ok());
  EXPECT_EQ(Output(), (Floats{9 + 6, 19 + 12}));
}

TEST_F(SiteStackTest, EqualGatesAreOne) {
  const auto tokens = [](int64_t id) {
    return std::make_shared<const std::vector<int64_t>>(1, id);
  };
  LowRank low_rank = Rank1(1, 0, 1, 1, 1);
  std::vector<SiteProgram> programs;
  for (const int64_t id : {4, 5, 4}) {
    low_rank.gate = tokens(id);
    programs.push_back({low_rank});
    ASSERT_TRUE(stack_.Add(programs.back(), 1, "a").ok());
  }
  EXPECT_EQ(storage_.gates.size(), 2u);
  const auto& segments = plan_.stages[0].low_rank;
  EXPECT_EQ(segments[0].gate, segments[2].gate);
  EXPECT_NE(segments[0].gate, segments[1].gate);
}

}  // namespace
}  // namespace peft
