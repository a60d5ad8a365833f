#include "kernels/stacked_downs.h"

#include "kernels/cpu/dispatch.h"
#include "kernels/stages.h"

namespace peft {
namespace kernels {
namespace {

// The first thin product of a layer, or null where it cannot be stacked.
const LowRankSegment* FirstDown(absl::Span<const LinearGroup> groups) {
  if (groups.size() != 1 || groups[0].rows <= kFewRows) return nullptr;
  const LinearPlan& plan = *groups[0].plan;
  if (plan.in_scale.data != nullptr || plan.patch.rows.rows > 0) return nullptr;
  const absl::Span<const LowRankSegment> segments = StepOf(plan, 0).segments;
  if (segments.size() != 1) return nullptr;
  const LowRankSegment& segment = segments[0];
  const int64_t rank = segment.a.rows;
  if (rank == 0 || rank != PaddedRank(rank)) return nullptr;
  if (segment.gate >= 0 || segment.rank_scale.data != nullptr) return nullptr;
  return &segment;
}

bool AreAlike(const LowRankSegment& left, const LowRankSegment& right) {
  return left.a.rows == right.a.rows && left.a.cols == right.a.cols &&
         left.a.stride == right.a.stride && left.a.dtype == right.a.dtype &&
         left.scale == right.scale;
}

}  // namespace

StackedDowns QueueStack(absl::Span<const LinearCall> calls, ConstRows x,
                        float* workspace, StackOfDowns& stack,
                        ProductQueue& queue) {
  if (calls.size() < 2) return {};
  const LowRankSegment* const first = FirstDown(calls[0].groups);
  if (first == nullptr) return {};
  for (size_t i = 0; i < calls.size(); ++i) {
    const LowRankSegment* const segment = FirstDown(calls[i].groups);
    if (segment == nullptr || !AreAlike(*segment, *first)) return {};
    stack[i] = segment->a.data;
  }
  const int64_t rank = first->a.rows;
  cpu::Term term;
  cpu::LinearTile tile = DownTile(*first, x, &term);
  // These are faster alone, and no stack is laid out so.
  if (cpu::Kernels().packs_rows(tile)) return {};
  term.stack = stack;
  term.stack_outputs = rank;
  cpu::Term* const queued = queue.ReserveTerms(1);
  *queued = term;
  tile.terms = queued;
  tile.last_output = rank * static_cast<int64_t>(calls.size());
  tile.y = workspace;
  tile.y_stride = tile.last_output;
  queue.Add(tile);
  return {workspace, rank, tile.y_stride};
}

}  // namespace kernels
}  // namespace peft
