// The adapted linear layer. Its plan is a base product and stages on it; a call
// may run several plans, each on its own rows of one batch.
#ifndef KERNELS_LINEAR_H_
#define KERNELS_LINEAR_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// Floats of workspace that RunLinear and RunStages need for these groups.
int64_t LinearWorkspaceFloats(absl::Span<const LinearGroup> groups);
// The same for one plan that runs all rows.
int64_t LinearWorkspaceFloats(const LinearPlan& plan, int64_t rows);

// y (rows, out) = each group's plan applied to its rows of x (rows, in). The
// plans are of one layer; groups whose weight is the same share one product
// with it. Accumulates in f32. y must not overlap x or the workspace. Allocates
// nothing; takes no lock except the pool's. Results do not depend on the pool's
// number of threads. A row's result does not depend on the other rows, except
// that the order of its sums is another with up to 8 rows than with more (never
// if transposed), and another where a call has several groups.
void RunLinear(absl::Span<const LinearGroup> groups, ConstRows x, Rows y,
               float* workspace, ThreadPool& pool);
// The same with one plan for all rows. It must have no gates.
void RunLinear(const LinearPlan& plan, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool);

// One of several layers that read the same x.
struct LinearCall {
  absl::Span<const LinearGroup> groups;
  Rows y;
  // With more than 8 rows the base product may round x to bf16 where its
  // weights are bf16, too, and the processor is faster then: an error of about
  // 2e-3. Sums stay f32.
  bool round_inputs = false;
};

// RunLinear for each of up to kMaxLinears layers, with the same results: their
// work is handed out to the threads together. No y may overlap another. The
// workspace has the floats of all of them. `past_caches` is a hint for few
// rows: before these weights are read again, more others are than caches hold.
constexpr int kMaxLinears = 4;
void RunLinears(absl::Span<const LinearCall> calls, ConstRows x,
                float* workspace, ThreadPool& pool, bool past_caches = false);

// Whether that hint is of use on this machine for weights that have so many
// bytes together, and are read in turn.
bool ExceedsCaches(int64_t bytes);

// The stages and the bias alone: y holds the base product, without its bias.
void RunStages(absl::Span<const LinearGroup> groups, ConstRows x, Rows y,
               float* workspace, ThreadPool& pool);
// The same without the bias. Of plans whose stages only add it adds them to
// whatever y holds, and reads no weight.
void RunStagesWithoutBias(absl::Span<const LinearGroup> groups, ConstRows x,
                          Rows y, float* workspace, ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_LINEAR_H_
