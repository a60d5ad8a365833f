#include "kernels/cuda/fused_plan.h"

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr FusedLimits kH100 = {132, 227 << 10, 228 << 10, 1 << 10};
constexpr FusedLimits kRtx4090 = {128, 99 << 10, 100 << 10, 1 << 10};

TEST(FusedPlanTest, TwoBlocksShareAMultiprocessor) {
  for (const int64_t rows : {1, 8, 9, 16, 17, 32}) {
    const auto plan = PlanFused({rows, 4096, 11008, 1, 1}, kH100);
    ASSERT_TRUE(plan.has_value()) << rows;
    EXPECT_EQ(plan->blocks, 264);
    EXPECT_EQ(plan->row_tiles, rows <= 8 ? 1 : rows <= 16 ? 2 : 4);
    EXPECT_GE(plan->stages, 3);
    EXPECT_LE(2 * (plan->shared_bytes + 1024), size_t{228} << 10) << rows;
  }
}

TEST(FusedPlanTest, ASmallerDeviceHasOneBlockOrFewerStages) {
  for (const int64_t rows : {1, 16, 32}) {
    const auto plan = PlanFused({rows, 4096, 11008, 1, 1}, kRtx4090);
    ASSERT_TRUE(plan.has_value()) << rows;
    EXPECT_GE(plan->stages, 2);
    EXPECT_LE(plan->blocks / 128 * (plan->shared_bytes + 1024),
              size_t{100} << 10)
        << rows;
  }
}

TEST(FusedPlanTest, HasNoMoreBlocksThanWork) {
  const auto plan = PlanFused({1, 64, 100, 1, 1}, kH100);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->blocks, 7);
  EXPECT_EQ(plan->splits, 1);
}

TEST(FusedPlanTest, TIsCutUntilAllBlocksHaveSome) {
  EXPECT_EQ(PlanFused({1, 4096, 4096, 1, 1}, kH100)->splits, 8);
  EXPECT_EQ(PlanFused({32, 4096, 4096, 32, 1}, kH100)->splits, 8);
  EXPECT_EQ(PlanFused({32, 4096, 4096, 32, 4}, kH100)->splits, 2);
}

TEST(FusedPlanTest, WithoutTermsThereIsNoT) {
  const auto plan = PlanFused({4, 4096, 4096, 1, 0}, kH100);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->units, 0);
  EXPECT_EQ(plan->t_floats(), 0);
}

TEST(FusedPlanTest, WhatIsTooLargeOrOddHasNone) {
  EXPECT_FALSE(PlanFused({33, 4096, 4096, 3, 1}, kH100).has_value());
  EXPECT_FALSE(PlanFused({1, 4092, 4096, 1, 1}, kH100).has_value());
  EXPECT_FALSE(PlanFused({32, 4096, 4096, 32, 32}, kH100).has_value());
  EXPECT_FALSE(PlanFused({32, 4096, 4096, 32, 16}, kRtx4090).has_value());
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
