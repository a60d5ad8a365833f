// One layer's part of a call of linear.h: what it queues, step by step.
#ifndef KERNELS_LINEAR_RUN_H_
#define KERNELS_LINEAR_RUN_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/linear.h"
#include "kernels/linear_plan.h"
#include "kernels/product_queue.h"
#include "kernels/stages.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// Its products go to the queue that it is given; what a method queues must have
// run before the next method is called, unless that says otherwise. Its
// workspace has LinearWorkspaceFloats.
class LinearRun {
 public:
  LinearRun(const LinearCall& call, ConstRows x, float* workspace,
            ProductQueue* queue, bool with_bias = true);

  int num_steps() const { return num_steps_; }

  // Whether nothing but products happens between those that are queued.
  bool HasOnlyProducts() const;

  // Another product makes the first x A^T: at `thin`, `stride` floats apart.
  void TakeThin(float* thin, int64_t stride);

  // What the first step needs, base products included. One plan without a patch
  // goes through its base product and its first step in one pass. `earlier`, or
  // null, is a layer of the same x that did this before.
  void QueueBase(const LinearRun* earlier);
  void QueueFirstUps();

  // Instead of QueueFirstUps, where many rows have adapters of their own: what
  // these add is summed apart, in chains that need nothing of QueueBase.
  bool CanSumApart() const;
  void QueueApart();
  // Adds it to y, one group of every `parts`.
  void AddApart(int64_t part, int64_t parts) const;
  // The factors and biases of the first step.
  void QueueFirstEnds();

  // thin = scale * (x A^T) rank_scale of every segment of step `index`. Not yet
  // where QueueUps makes chains.
  void QueueDowns(int index);
  // The rest of step `index`, with the base product where it is given.
  void QueueUps(int index, const cpu::Term* base);

 private:
  float* QueueDown(const LinearGroup& group, int64_t first,
                   absl::Span<const LowRankSegment> segments, float* thin);
  float* QueueUp(const LinearGroup& group, int64_t first, Step step,
                 const cpu::Term* base, float* thin);
  ConstRows ScaledInput();
  void QueueBases(ConstRows x);
  const float* QueuePatches(ConstRows x);
  void ScatterPatches(const float* patches);

  // Calls call(group, first row) for every group.
  template <typename Call>
  void ForEachGroup(Call call) const;
  // The same with step `index`, for every group that has it.
  template <typename Call>
  void ForEachStep(int index, Call call) const;

  const absl::Span<const LinearGroup> groups_;
  const ConstRows x_;
  const Rows y_;
  const bool round_inputs_;
  float* workspace_;
  ProductQueue& queue_;
  const bool with_bias_;
  const bool makes_chains_;
  const int num_steps_;
  ConstRows base_x_;
  bool fused_ = false;
  cpu::Term base_ = {};  // if fused
  const float* patches_ = nullptr;
  float* apart_ = nullptr;  // rows of y's columns, those without a term unset
  float* taken_thin_ = nullptr;
  int64_t taken_stride_ = 0;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_LINEAR_RUN_H_
