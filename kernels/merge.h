// A layer's plan applied to its weight itself, so that the weight alone
// computes what the plan does.
#ifndef KERNELS_MERGE_H_
#define KERNELS_MERGE_H_

#include <cstdint>

#include "kernels/linear_plan.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// How the weight of a plan lies in memory.
enum class WeightLayout {
  kOutputsFirst,  // (out, in): a linear layer
  kInputsFirst,   // (in, out): HF Conv1D
  kTable,         // (vocabulary, width): see kernels/embedding.h
};

// Floats of workspace that MergeWeight needs: one for each rank and row of the
// weight, and one for each rank and column.
int64_t MergeWorkspaceFloats(const LinearPlan& plan);

// Writes the weight that replaces plan's weight, in_scale, patch and stages to
// `out`: as many rows and columns, contiguous, of `dtype` (F32, BF16 or F16).
// Accumulates in f32 and rounds once. The bias is no part of it, and gates must
// be open: a segment's `gate` is not looked at. Allocates nothing. The result
// does not depend on the pool's number of threads.
void MergeWeight(const LinearPlan& plan, WeightLayout layout, DType dtype,
                 void* out, float* workspace, ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_MERGE_H_
