// What an adapted layer computes, as data:
//
//   p = (x in_scale) W^T, with some outputs computed from other rows
//   stage by stage: p = (p + sum_i s_i ((x A_i^T) rank_scale_i) B_i^T)
//   out_scale y = p + b
//
// kernels/linear.h runs it; kernels/embedding.h says what it means for a table.
#ifndef KERNELS_LINEAR_PLAN_H_
#define KERNELS_LINEAR_PLAN_H_

#include <cstdint>
#include <vector>

#include "kernels/view.h"

namespace peft {
namespace kernels {

// One additive low-rank term. A is (r, in), B is (out, r), in the dtype of
// their file; r may be 0.
struct LowRankSegment {
  MatrixView a;
  MatrixView b;
  float scale = 1.0f;
  // Which of LinearGroup::gates says for what rows the term counts; -1: all.
  int gate = -1;
  VectorView rank_scale = {};  // F32, (r): multiplies x A^T; none if null
};

// Terms that are added to what is there, then an optional factor on all of it.
struct LinearStage {
  std::vector<LowRankSegment> low_rank;
  VectorView out_scale = {};  // F32, (out); none if null
};

// Outputs that have weights of their own: output ids[i] is x times row i of
// `rows`, (n, in). Ids are in range and rise.
struct RowPatch {
  const int64_t* ids = nullptr;
  MatrixView rows;
};

// What one linear site computes. A plan is built once per model and activation
// and only holds views: what they show must outlive it.
struct LinearPlan {
  MatrixView weight;  // (out, in); with transposed, (in, out) as HF Conv1D
  bool transposed = false;
  VectorView in_scale;  // F32, (in); none if null
  RowPatch patch;
  std::vector<LinearStage> stages;
  // Added last, after folding what adapters change; none if null.
  VectorView bias;
};

// Consecutive rows of a call that run one plan. Groups follow each other.
struct LinearGroup {
  const LinearPlan* plan = nullptr;
  int64_t rows = 0;
  // By LowRankSegment::gate: one byte per row of the group, 0 where the gate
  // is closed. Null where no segment of the plan has a gate.
  const uint8_t* const* gates = nullptr;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_LINEAR_PLAN_H_
