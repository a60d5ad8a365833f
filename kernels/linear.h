// The adapted linear layer: y = x W^T + b + sum_i s_i (x A_i^T) B_i^T.
#ifndef KERNELS_LINEAR_H_
#define KERNELS_LINEAR_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// One additive low-rank term. A is (r, in), B is (out, r), in the dtype of
// their file; r may be 0.
struct LowRankSegment {
  MatrixView a;
  MatrixView b;
  float scale = 1.0f;
};

// What one linear site computes. A plan is built once per model and activation
// and only holds views: weights, segments and bias must outlive it.
struct LinearPlan {
  MatrixView weight;  // (out, in); with transposed, (in, out) as HF Conv1D
  bool transposed = false;
  // Added to every row, after folding what adapters change; none if null.
  VectorView bias;
  std::vector<LowRankSegment> low_rank;
};

// Floats of workspace that RunLinear needs for `rows` rows.
int64_t LinearWorkspaceFloats(const LinearPlan& plan, int64_t rows);

// The same for AddLowRank.
int64_t LowRankWorkspaceFloats(absl::Span<const LowRankSegment> segments,
                               int64_t rows);

// y (rows, out) = the plan applied to x (rows, in). Accumulates in f32. y must
// not overlap x or the workspace. Allocates nothing; takes no lock except the
// pool's. Results do not depend on the pool's number of threads. A row's result
// does not depend on the other rows, except that up to 8 rows are computed in
// another order of summation than more (by dot products; never if transposed).
void RunLinear(const LinearPlan& plan, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool);

// Only the low-rank part, added to y: y += sum_i s_i (x A_i^T) B_i^T.
void AddLowRank(absl::Span<const LowRankSegment> segments, ConstRows x, Rows y,
                float* workspace, ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_LINEAR_H_
