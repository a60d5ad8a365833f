// Results are bit-equal for any number of threads. Also run with the thread
// sanitizer: this is where kernels and pools meet.

#include <deque>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/linear.h"
#include "kernels/nn.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int kThreads[] = {2, 3, 8};

// What `run` writes with one thread and with several.
template <typename Run>
void ExpectSameForAnyThreads(int64_t rows, int64_t cols, Run run) {
  Random random(1);
  RandomRows alone(rows, cols, 0, random);
  run(alone.view(), InlineThreadPool());
  for (const int threads : kThreads) {
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(threads);
    RandomRows together(rows, cols, 0, random);
    run(together.view(), *pool);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = 0; col < cols; ++col) {
        ASSERT_EQ(together.At(row, col), alone.At(row, col))
            << threads << " threads, row " << row << ", column " << col;
      }
    }
  }
}

void ExpectLinearSame(int64_t rows) {
  Random random(2);
  const RandomMatrix weight(DType::kBF16, 300, 700, random);
  const RandomMatrix a(DType::kF32, 16, 700, random);
  const RandomMatrix b(DType::kF16, 300, 16, random);
  const RandomMatrix bias(DType::kF32, 1, 300, random);
  LinearPlan plan;
  plan.weight = weight.view();
  plan.bias = bias.vector();
  plan.stages = {{{{a.view(), b.view(), 0.5f}, {a.view(), b.view()}}, {}}};
  RandomRows x(rows, 700, 0, random);
  ExpectSameForAnyThreads(rows, 300, [&](Rows y, ThreadPool& pool) {
    std::vector<float> workspace(LinearWorkspaceFloats(plan, rows));
    RunLinear(plan, x.view(), y, workspace.data(), pool);
  });
}

TEST(DeterminismTest, LinearWithFewRows) {
  ExpectLinearSame(1);
  ExpectLinearSame(8);
}

TEST(DeterminismTest, LinearWithManyRows) {
  ExpectLinearSame(9);
  ExpectLinearSame(100);
  ExpectLinearSame(500);
}

// Each row has an adapter of so many segments.
void ExpectLinearOfOwnAdaptersSame(int64_t rows, int segments) {
  Random random(5);
  const RandomMatrix weight(DType::kBF16, 300, 700, random);
  const RandomMatrix bias(DType::kF32, 1, 300, random);
  const RandomMatrix out_scale(DType::kF32, 1, 300, random);
  std::deque<RandomMatrix> factors;
  std::deque<LinearPlan> plans;
  std::vector<LinearGroup> groups;
  for (int64_t i = 0; i < rows; ++i) {
    LinearStage stage;
    for (int j = 0; j < segments; ++j) {
      factors.emplace_back(DType::kF32, 16, 700, random);
      const MatrixView a = factors.back().view();
      factors.emplace_back(DType::kF32, 300, 16, random);
      stage.low_rank.push_back({a, factors.back().view(), 0.5f});
    }
    stage.out_scale = out_scale.vector();
    plans.emplace_back();
    plans.back().weight = weight.view();
    plans.back().bias = bias.vector();
    plans.back().stages = {stage};
    groups.push_back({&plans.back(), 1});
  }
  RandomRows x(rows, 700, 0, random);
  ExpectSameForAnyThreads(rows, 300, [&](Rows y, ThreadPool& pool) {
    std::vector<float> workspace(LinearWorkspaceFloats(groups));
    RunLinear(groups, x.view(), y, workspace.data(), pool);
  });
}

TEST(DeterminismTest, LinearWithAnAdapterForEachRow) {
  // 20 are enough for one thread or two to run chains, and not for more.
  for (const int64_t rows : {8, 20, 64}) {
    ExpectLinearOfOwnAdaptersSame(rows, 1);
    ExpectLinearOfOwnAdaptersSame(rows, 2);
  }
}

void ExpectAttentionSame(int64_t first_position, int64_t rows) {
  const AttentionShape shape = {4, 2, 32, 0.2f, 0};
  const int64_t positions = first_position + rows;
  Random random(3);
  RandomRows queries(rows, 128, 0, random);
  RandomRows keys(positions, 64, 0, random);
  RandomRows values(positions, 64, 0, random);
  const KvView kv = {keys.view().data, values.view().data, 64, nullptr};
  ExpectSameForAnyThreads(rows, 128, [&](Rows output, ThreadPool& pool) {
    std::vector<float> workspace(
        AttentionWorkspaceFloats(shape, rows, positions, pool.num_threads()));
    Attention(shape, queries.view(), first_position, kv, output,
              workspace.data(), pool);
  });
}

TEST(DeterminismTest, AttentionOfOneRowToManyKeys) {
  ExpectAttentionSame(900, 1);
}

TEST(DeterminismTest, AttentionOfManyRows) { ExpectAttentionSame(300, 90); }

TEST(DeterminismTest, RowOperations) {
  Random random(4);
  RandomRows x(70, 1000, 0, random);
  RandomRows up(70, 1000, 0, random);
  const RandomMatrix weight(DType::kF32, 1, 1000, random);
  ExpectSameForAnyThreads(70, 1000, [&](Rows y, ThreadPool& pool) {
    RmsNorm(x.view(), weight.vector(), 1e-5f, y, pool);
    GatedActivation(Activation::kSilu, y, up.view(), y, pool);
    AddRows(x.view(), y, pool);
  });
}

}  // namespace
}  // namespace kernels
}  // namespace peft
