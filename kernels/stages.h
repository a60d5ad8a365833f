// What the adapted linear layer and the adapted embedding share: stages, cut
// into steps of one pass over y each.
#ifndef KERNELS_STAGES_H_
#define KERNELS_STAGES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/linear_plan.h"
#include "kernels/product_queue.h"

namespace peft {
namespace kernels {

// One pass over y: some segments of one stage, and what ends the stage or the
// whole plan.
struct Step {
  absl::Span<const LowRankSegment> segments;
  const float* out_scale = nullptr;
  VectorView bias;
  bool round_inputs = false;  // of the base product, see LinearCall
  // Floats between the rows of thin; 0: those of one segment, without gaps.
  int64_t thin_stride = 0;

  // True if the pass has anything to do.
  bool ChangesY() const {
    return !segments.empty() || out_scale != nullptr || bias.data != nullptr;
  }
};

// A plan has at least one step: that of the base product.
int NumSteps(const LinearPlan& plan);
Step StepOf(const LinearPlan& plan, int index);

// Floats of x A^T for `rows` rows of all segments.
int64_t ThinFloats(absl::Span<const LowRankSegment> segments, int64_t rows);

// The product scale * (x A^T) of a segment, but for its y and factors. Makes
// its term at `term`, which must live as long.
cpu::LinearTile DownTile(const LowRankSegment& segment, ConstRows x,
                         cpu::Term* term);

// Clears the rows of thin that a closed gate keeps from counting.
void CloseGates(absl::Span<const LowRankSegment> segments,
                const LinearGroup& group, float* thin);

// Queues y = (accumulate ? y : base) + thin B^T ..., with the step's ends.
// `base` is null with accumulate. y has the rows of one group.
void QueueStep(const Step& step, const cpu::Term* base, bool accumulate,
               const float* thin, Rows y, ProductQueue& queue);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_STAGES_H_
