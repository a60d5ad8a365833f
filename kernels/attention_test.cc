#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/nn.h"
#include "kernels/testing/kernel_test.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

struct Case {
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t first_position;
  int64_t rows;
  int64_t window = 0;
  bool masked = false;
  bool causal = true;
};

// Random queries and a cache, and what attention to it should give.
class Problem {
 public:
  Problem(const Case& c, Random& random)
      : c_(c),
        queries(c.rows, c.heads * c.head_dim, 1, random),
        keys(c.first_position + c.rows, c.kv_heads * c.head_dim, 3, random),
        values(c.first_position + c.rows, c.kv_heads * c.head_dim, 3, random),
        mask(c.first_position + c.rows, 1) {
    shape.num_heads = c.heads;
    shape.num_kv_heads = c.kv_heads;
    shape.head_dim = c.head_dim;
    shape.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
    shape.sliding_window = c.window;
    shape.causal = c.causal;
    for (uint8_t& m : mask) m = c.masked && random() % 3 == 0 ? 0 : 1;
  }

  KvView Kv() {
    KvView kv;
    kv.keys = keys.view().data;
    kv.values = values.view().data;
    kv.stride = keys.view().stride;
    kv.mask = c_.masked ? mask.data() : nullptr;
    return kv;
  }

  bool Allowed(int64_t position, int64_t key) const {
    return (!c_.causal || key <= position) && mask[key] != 0 &&
           (c_.window == 0 || position - key < c_.window);
  }

  // The weights of head `head` of row `row` over all positions.
  std::vector<double> Weights(int64_t row, int64_t head) const {
    const int64_t position = c_.first_position + row;
    const int64_t group = c_.heads / c_.kv_heads;
    std::vector<double> weights(mask.size(), 0.0);
    double max = -std::numeric_limits<double>::infinity();
    const auto num_keys = static_cast<int64_t>(mask.size());
    for (int64_t j = 0; j < num_keys; ++j) {
      double score = 0;
      for (int64_t i = 0; i < c_.head_dim; ++i) {
        score += double{queries.At(row, head * c_.head_dim + i)} *
                 keys.At(j, head / group * c_.head_dim + i);
      }
      weights[j] = score * shape.scale;
      if (Allowed(position, j)) max = std::max(max, weights[j]);
    }
    double sum = 0;
    for (size_t j = 0; j < weights.size(); ++j) {
      const bool allowed = Allowed(position, static_cast<int64_t>(j));
      weights[j] = allowed ? std::exp(weights[j] - max) : 0;
      sum += weights[j];
    }
    for (double& weight : weights) weight = sum > 0 ? weight / sum : 0;
    return weights;
  }

  void ExpectRight(const RandomRows& output) const {
    const int64_t group = c_.heads / c_.kv_heads;
    for (int64_t row = 0; row < c_.rows; ++row) {
      for (int64_t head = 0; head < c_.heads; ++head) {
        const std::vector<double> weights = Weights(row, head);
        for (int64_t i = 0; i < c_.head_dim; ++i) {
          double expected = 0;
          for (size_t j = 0; j < weights.size(); ++j) {
            expected +=
                weights[j] * values.At(j, head / group * c_.head_dim + i);
          }
          ASSERT_NEAR(output.At(row, head * c_.head_dim + i), expected, 4e-6)
              << "row " << row << " head " << head;
        }
      }
    }
  }

  // Attention of all rows, or of `rows` rows from `first` on.
  RandomRows Run(ThreadPool& pool, int64_t first = 0, int64_t rows = -1) {
    if (rows < 0) rows = c_.rows;
    Random random(99);
    RandomRows output(rows, c_.heads * c_.head_dim, 2, random);
    const int64_t position = c_.first_position + first;
    std::vector<float> workspace(
        AttentionWorkspaceFloats(shape, rows, position + rows,
                                 pool.num_threads()),
        std::numeric_limits<float>::quiet_NaN());
    const Rows all = queries.view();
    Attention(
        shape,
        ConstRows(all.data + first * all.stride, rows, all.cols, all.stride),
        position, Kv(), output.view(), workspace.data(), pool);
    EXPECT_TRUE(output.GapsAreUntouched());
    return output;
  }

  AttentionShape shape;

 private:
  const Case c_;

 public:
  RandomRows queries;
  RandomRows keys;
  RandomRows values;
  std::vector<uint8_t> mask;
};

class AttentionTest : public KernelTest {};
PEFT_FOR_EACH_KERNEL(AttentionTest);

TEST_P(AttentionTest, MatchesDoublePrecision) {
  const std::vector<Case> cases = {
      {1, 1, 8, 0, 1},
      {4, 2, 16, 0, 7},
      {3, 1, 20, 70, 3},
      {9, 3, 64, 0, 100},
      {9, 3, 64, 600, 1},
      {2, 2, 80, 300, 40},
      {6, 2, 33, 10, 50, 8},
      {6, 2, 33, 500, 2, 100},
      {4, 4, 16, 0, 60, 0, true},
      {4, 1, 16, 700, 5, 300, true},
      {71, 1, 8, 3, 4},
      {2, 1, 260, 90, 3},
  };
  Random random(21);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (const Case& c : cases) {
    Problem problem(c, random);
    problem.ExpectRight(problem.Run(*pool));
  }
}

TEST_P(AttentionTest, BothDirectionsMatchDoublePrecision) {
  const std::vector<Case> cases = {
      {1, 1, 8, 0, 1, 0, false, false},   {4, 2, 16, 0, 7, 0, false, false},
      {2, 2, 32, 0, 70, 0, true, false},  {12, 12, 64, 0, 130, 0, true, false},
      {2, 1, 20, 0, 600, 0, true, false},
  };
  Random random(24);
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  for (const Case& c : cases) {
    Problem problem(c, random);
    problem.ExpectRight(problem.Run(*pool));
  }
}

TEST_P(AttentionTest, QueryWithoutKeysGivesZeros) {
  Random random(22);
  Problem problem({2, 1, 16, 0, 5, 0, true}, random);
  problem.mask = {0, 0, 0, 1, 1};
  const RandomRows output = problem.Run(InlineThreadPool());
  for (int64_t i = 0; i < 32; ++i) EXPECT_EQ(output.At(2, i), 0.0f);
  problem.ExpectRight(output);
}

TEST_P(AttentionTest, LargeScoresDoNotOverflow) {
  Random random(23);
  Problem problem({1, 1, 8, 0, 70}, random);
  problem.shape.scale = 1e4f;
  const RandomRows output = problem.Run(InlineThreadPool());
  for (int64_t row = 0; row < 70; ++row) {
    EXPECT_TRUE(std::isfinite(output.At(row, 0)));
  }
}

// Runs `rows` rows at several places and expects what the first `all` rows from
// there on, run together, gave for them.
void ExpectRowsAreTheirOwn(Problem& problem, int64_t all, int64_t rows) {
  for (const int64_t first : {0, 1, 17, 60}) {
    const RandomRows whole = problem.Run(InlineThreadPool(), first, all);
    const RandomRows part = problem.Run(InlineThreadPool(), first, rows);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < 96; ++i) {
        ASSERT_EQ(part.At(row, i), whole.At(row, i)) << first << " + " << row;
      }
    }
  }
}

// Two heads share their keys, so that up to four rows are few.
TEST_P(AttentionTest, RowsDoNotDependOnEachOther) {
  Random random(25);
  for (const int64_t window : {0, 50}) {
    Problem problem({4, 2, 24, 500, 120, window, true}, random);
    ExpectRowsAreTheirOwn(problem, 60, 5);
    ExpectRowsAreTheirOwn(problem, 60, 33);
    ExpectRowsAreTheirOwn(problem, 4, 1);
    ExpectRowsAreTheirOwn(problem, 4, 3);
  }
}

TEST_P(AttentionTest, WorkspaceOfALongCallServesShortOnes) {
  const AttentionShape shape = {8, 2, 64, 1.0f, 0};
  const int64_t most = AttentionWorkspaceFloats(shape, 512, 2048, 4);
  for (int64_t rows = 1; rows < 512; rows *= 2) {
    EXPECT_LE(AttentionWorkspaceFloats(shape, rows, 2048, 4), most);
    EXPECT_LE(AttentionWorkspaceFloats(shape, rows, 600, 2), most);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
