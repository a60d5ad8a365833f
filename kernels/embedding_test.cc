#include "kernels/embedding.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kVocabulary = 23;
constexpr int64_t kWidth = 37;

class EmbeddingTest : public KernelTest {
 protected:
  // Runs groups over ids, with NaN in the workspace.
  RandomRows Run(const std::vector<LinearGroup>& groups,
                 const std::vector<int64_t>& ids) {
    Random random(3);
    RandomRows y(static_cast<int64_t>(ids.size()), kWidth, 1, random);
    std::vector<float> workspace(EmbeddingWorkspaceFloats(groups),
                                 std::numeric_limits<float>::quiet_NaN());
    RunEmbedding(groups, ids.data(), y.view(), workspace.data(),
                 InlineThreadPool());
    EXPECT_TRUE(y.GapsAreUntouched());
    return y;
  }

  Random random_{17};
  RandomMatrix table_{DType::kBF16, kVocabulary, kWidth, random_};
};
PEFT_FOR_EACH_KERNEL(EmbeddingTest);

TEST_P(EmbeddingTest, PatchedRowsStandForTheTables) {
  const RandomMatrix rows(DType::kF32, 2, kWidth, random_);
  const int64_t patched[] = {4, 20};
  LinearPlan plan;
  plan.weight = table_.view();
  plan.patch = {patched, rows.view()};
  const std::vector<int64_t> ids = {20, 3, 4, 22, 20, 0};
  const RandomRows y = Run({{&plan, 6}}, ids);
  for (int64_t i = 0; i < kWidth; ++i) {
    EXPECT_EQ(y.At(0, i), rows.At(1, i));
    EXPECT_EQ(y.At(1, i), table_.At(3, i));
    EXPECT_EQ(y.At(2, i), rows.At(0, i));
    EXPECT_EQ(y.At(3, i), table_.At(22, i));
    EXPECT_EQ(y.At(4, i), rows.At(1, i));
    EXPECT_EQ(y.At(5, i), table_.At(0, i));
  }
}

TEST_P(EmbeddingTest, StagesOfEachGroupOnItsRows) {
  const RandomMatrix a(DType::kF16, 5, kVocabulary, random_);
  const RandomMatrix b(DType::kF32, kWidth, 5, random_);
  const std::vector<float> factor = RandomFloats(kWidth, random_);
  LinearPlan base;
  base.weight = table_.view();
  LinearPlan adapted = base;
  adapted.stages = {
      {{{a.view(), b.view(), 0.5f}}, {factor.data(), DType::kF32, kWidth}},
      {{{a.view(), b.view(), 2.0f}}, {}}};
  const std::vector<int64_t> ids = {7, 7, 11, 0};
  const RandomRows y = Run({{&base, 1}, {&adapted, 3}}, ids);
  for (int64_t i = 0; i < kWidth; ++i) {
    EXPECT_EQ(y.At(0, i), table_.At(7, i));
    for (int64_t row = 1; row < 4; ++row) {
      double delta = 0;
      for (int64_t r = 0; r < 5; ++r) {
        delta += double{a.At(r, ids[row])} * b.At(i, r);
      }
      const double expected =
          (table_.At(ids[row], i) + 0.5 * delta) * factor[i] + 2 * delta;
      EXPECT_NEAR(y.At(row, i), expected, 1e-5);
    }
  }
}

TEST_P(EmbeddingTest, RankScalesMultiplyTheColumn) {
  const RandomMatrix a(DType::kF32, 2, kVocabulary, random_);
  const RandomMatrix b(DType::kF32, kWidth, 2, random_);
  const float factor[] = {2, -3};
  LinearPlan plan;
  plan.weight = table_.view();
  plan.stages = {
      {{{a.view(), b.view(), 0.5f, -1, {factor, DType::kF32, 2}}}, {}}};
  const RandomRows y = Run({{&plan, 1}}, {9});
  for (int64_t i = 0; i < kWidth; ++i) {
    EXPECT_NEAR(y.At(0, i),
                table_.At(9, i) + a.At(0, 9) * b.At(i, 0) -
                    1.5 * a.At(1, 9) * b.At(i, 1),
                1e-5);
  }
}

TEST_P(EmbeddingTest, ClosedGatesLeaveTheTable) {
  const RandomMatrix a(DType::kF32, 3, kVocabulary, random_);
  const RandomMatrix b(DType::kF32, kWidth, 3, random_);
  LinearPlan plan;
  plan.weight = table_.view();
  plan.stages = {{{{a.view(), b.view(), 1.0f, 0}}, {}}};
  const uint8_t open[] = {0, 1};
  const uint8_t* const gates[] = {open};
  const RandomRows y = Run({{&plan, 2, gates}}, {9, 9});
  EXPECT_EQ(y.At(0, 0), table_.At(9, 0));
  EXPECT_NE(y.At(1, 0), table_.At(9, 0));
}

}  // namespace
}  // namespace kernels
}  // namespace peft
