#include "kernels/stages.h"

#include <algorithm>

#include "kernels/elem.h"

namespace peft {
namespace kernels {
namespace {

// With the base product they are what one product may have of terms.
constexpr int64_t kSegmentsAtOnce = ProductQueue::kMaxTerms - 1;

int StepsOf(const LinearStage& stage) {
  const int64_t segments = stage.low_rank.size();
  return static_cast<int>(
      std::max<int64_t>(1, (segments + kSegmentsAtOnce - 1) / kSegmentsAtOnce));
}

}  // namespace

int NumSteps(const LinearPlan& plan) {
  int steps = 0;
  for (const LinearStage& stage : plan.stages) steps += StepsOf(stage);
  return std::max(1, steps);
}

Step StepOf(const LinearPlan& plan, int index) {
  Step step;
  bool is_last = true;
  for (const LinearStage& stage : plan.stages) {
    const int steps = StepsOf(stage);
    if (index >= steps) {
      index -= steps;
      continue;
    }
    step.segments = absl::MakeConstSpan(stage.low_rank)
                        .subspan(index * kSegmentsAtOnce, kSegmentsAtOnce);
    const bool ends_stage = index == steps - 1;
    if (ends_stage) {
      step.out_scale = static_cast<const float*>(stage.out_scale.data);
    }
    is_last = ends_stage && &stage == &plan.stages.back();
    break;
  }
  if (is_last) step.bias = plan.bias;
  return step;
}

int64_t ThinFloats(absl::Span<const LowRankSegment> segments, int64_t rows) {
  int64_t columns = 0;
  for (const LowRankSegment& segment : segments) {
    columns += PaddedRank(segment.a.rows);
  }
  return rows * columns;
}

cpu::LinearTile DownTile(const LowRankSegment& segment, ConstRows x,
                         cpu::Term* term) {
  *term = TermOf(segment.a, false, x.data, x.stride);
  cpu::LinearTile tile = {};
  tile.terms = term;
  tile.num_terms = 1;
  tile.rows = x.rows;
  tile.last_output = segment.a.rows;
  tile.scale = segment.scale;
  tile.y_stride = PaddedRank(segment.a.rows);
  return tile;
}

void CloseGates(absl::Span<const LowRankSegment> segments,
                const LinearGroup& group, float* thin) {
  for (const LowRankSegment& segment : segments) {
    const int64_t stride = PaddedRank(segment.a.rows);
    for (int64_t row = 0; segment.gate >= 0 && row < group.rows; ++row) {
      if (group.gates[segment.gate][row] != 0) continue;
      std::fill_n(thin + row * stride, stride, 0.0f);
    }
    thin += group.rows * stride;
  }
}

void QueueStep(const Step& step, const cpu::Term* base, bool accumulate,
               const float* thin, Rows y, ProductQueue& queue) {
  cpu::LinearTile tile = {};
  tile.num_terms =
      static_cast<int>(step.segments.size()) + (base != nullptr ? 1 : 0);
  cpu::Term* term = queue.ReserveTerms(tile.num_terms);
  tile.terms = term;
  if (base != nullptr) *term++ = *base;
  for (const LowRankSegment& segment : step.segments) {
    const int64_t stride = PaddedRank(segment.a.rows);
    *term++ = TermOf(segment.b, false, thin,
                     step.thin_stride > 0 ? step.thin_stride : stride);
    thin += y.rows * stride;
  }
  tile.rows = y.rows;
  tile.last_output = y.cols;
  tile.out_scale = step.out_scale;
  tile.bias = step.bias.data;
  tile.bias_elem = ElemOf(step.bias.dtype);
  tile.scale = 1.0f;
  tile.round_inputs = step.round_inputs;
  tile.accumulate = accumulate;
  tile.y = y.data;
  tile.y_stride = y.stride;
  queue.Add(tile);
}

}  // namespace kernels
}  // namespace peft
