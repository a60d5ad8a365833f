#include "kernels/linear_run.h"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"

namespace peft {
namespace kernels {
namespace {

using Groups = absl::Span<const LinearGroup>;

bool HasInScale(Groups groups) {
  for (const LinearGroup& group : groups) {
    if (group.plan->in_scale.data != nullptr) return true;
  }
  return false;
}

bool HasPatch(const LinearPlan& plan) { return plan.patch.rows.rows > 0; }

int64_t PatchFloats(const LinearGroup& group) {
  return group.rows * PaddedRank(group.plan->patch.rows.rows);
}

int MaxSteps(Groups groups) {
  int steps = 0;
  for (const LinearGroup& group : groups) {
    steps = std::max(steps, NumSteps(*group.plan));
  }
  return steps;
}

int64_t StepFloats(Groups groups, int index) {
  int64_t floats = 0;
  for (const LinearGroup& group : groups) {
    if (index >= NumSteps(*group.plan)) continue;
    floats += ThinFloats(StepOf(*group.plan, index).segments, group.rows);
  }
  return floats;
}

// The rows [first, first + count) of a view.
template <typename R>
R Part(R rows, int64_t first, int64_t count) {
  rows.data += first * rows.stride;
  rows.rows = count;
  return rows;
}

int64_t OutputsOf(const LinearPlan& plan) {
  return plan.transposed ? plan.weight.cols : plan.weight.rows;
}

// Whether both products of a step are better run one after the other for each
// group, by one thread: A and B lie side by side in their file, and memory is
// read a quarter faster in longer pieces. That takes groups for all threads.
bool MakesChains(Groups groups, int threads) {
  constexpr size_t kGroupsOfThread = 8;
  if (groups.size() < kGroupsOfThread * static_cast<size_t>(threads)) {
    return false;
  }
  for (const LinearGroup& group : groups) {
    if (group.rows > kFewRows || group.gates != nullptr) return false;
  }
  return true;
}

cpu::Term BaseTerm(const LinearGroup& group, ConstRows x) {
  return TermOf(group.plan->weight, group.plan->transposed, x.data, x.stride);
}

}  // namespace

int64_t LinearWorkspaceFloats(Groups groups) {
  int64_t floats = 0;
  for (const LinearGroup& group : groups) {
    floats += PatchFloats(group);
    floats += PackedFloats(group.plan->weight, group.rows);
  }
  if (HasInScale(groups)) {
    for (const LinearGroup& group : groups) {
      const LinearPlan& plan = *group.plan;
      floats +=
          group.rows * (plan.transposed ? plan.weight.rows : plan.weight.cols);
    }
  }
  if (MakesChains(groups, 1)) {  // for what is summed apart
    for (const LinearGroup& group : groups) {
      floats += group.rows * OutputsOf(*group.plan);
    }
  }
  int64_t thin = 0;
  const int steps = MaxSteps(groups);
  for (int index = 0; index < steps; ++index) {
    thin = std::max(thin, StepFloats(groups, index));
  }
  return floats + thin;
}

LinearRun::LinearRun(const LinearCall& call, ConstRows x, float* workspace,
                     ProductQueue* queue, bool with_bias)
    : groups_(call.groups),
      x_(x),
      y_(call.y),
      round_inputs_(call.round_inputs),
      workspace_(workspace),
      queue_(*queue),
      with_bias_(with_bias),
      makes_chains_(MakesChains(call.groups, queue->num_threads())),
      num_steps_(MaxSteps(call.groups)) {
  assert(x.rows == call.y.rows);
}

template <typename Call>
void LinearRun::ForEachGroup(Call call) const {
  int64_t first = 0;
  for (const LinearGroup& group : groups_) {
    call(group, first);
    first += group.rows;
  }
}

template <typename Call>
void LinearRun::ForEachStep(int index, Call call) const {
  ForEachGroup([&](const LinearGroup& group, int64_t first) {
    if (index >= NumSteps(*group.plan)) return;
    call(group, first, StepOf(*group.plan, index));
  });
}

bool LinearRun::HasOnlyProducts() const {
  for (const LinearGroup& group : groups_) {
    if (group.gates != nullptr || HasPatch(*group.plan)) return false;
  }
  return true;
}

void LinearRun::TakeThin(float* thin, int64_t stride) {
  taken_thin_ = thin;
  taken_stride_ = stride;
}

void LinearRun::QueueBase(const LinearRun* earlier) {
  base_x_ = HasInScale(groups_) ? ScaledInput() : x_;
  fused_ = groups_.size() == 1 && !HasPatch(*groups_[0].plan);
  if (fused_) {
    base_ = BaseTerm(groups_[0], base_x_);
    workspace_ =
        PackInputs(base_x_.rows, workspace_,
                   earlier == nullptr ? nullptr : &earlier->base_, &base_);
  } else {
    QueueBases(base_x_);
    patches_ = QueuePatches(base_x_);
  }
  if (taken_thin_ == nullptr) QueueDowns(0);
}

void LinearRun::QueueFirstUps() {
  if (!fused_) ScatterPatches(patches_);
  QueueUps(0, fused_ ? &base_ : nullptr);
}

bool LinearRun::CanSumApart() const {
  return makes_chains_ && x_.rows > kFewRows && HasOnlyProducts();
}

void LinearRun::QueueApart() {
  apart_ = workspace_;
  float* thin = apart_ + y_.rows * y_.cols;
  ForEachStep(0, [&](const LinearGroup& group, int64_t first, Step step) {
    if (step.segments.empty()) return;
    step.out_scale = nullptr;
    step.bias = {};
    queue_.BeginChain();
    QueueDown(group, first, step.segments, thin);
    QueueStep(step, nullptr, /*accumulate=*/false, thin,
              {apart_ + first * y_.cols, group.rows, y_.cols, y_.cols}, queue_);
    queue_.EndChain();
    thin += ThinFloats(step.segments, group.rows);
  });
}

void LinearRun::AddApart(int64_t part, int64_t parts) const {
  ForEachStep(0, [&](const LinearGroup& group, int64_t first, Step step) {
    if ((&group - groups_.data()) % parts != part) return;
    if (step.segments.empty()) return;
    for (int64_t row = first; row < first + group.rows; ++row) {
      cpu::Kernels().add(apart_ + row * y_.cols, y_.cols,
                         y_.data + row * y_.stride);
    }
  });
}

void LinearRun::QueueFirstEnds() {
  ForEachStep(0, [&](const LinearGroup& group, int64_t first, Step step) {
    step.segments = {};
    QueueUp(group, first, step, nullptr, nullptr);
  });
}

void LinearRun::QueueDowns(int index) {
  if (makes_chains_) return;
  float* thin = workspace_;
  ForEachStep(index, [&](const LinearGroup& group, int64_t first, Step step) {
    thin = QueueDown(group, first, step.segments, thin);
  });
}

void LinearRun::QueueUps(int index, const cpu::Term* base) {
  const bool taken = index == 0 && taken_thin_ != nullptr;
  float* thin = taken ? taken_thin_ : workspace_;
  ForEachStep(index, [&](const LinearGroup& group, int64_t first, Step step) {
    if (makes_chains_) {
      queue_.BeginChain();
      QueueDown(group, first, step.segments, thin);
    }
    if (taken) step.thin_stride = taken_stride_;
    thin = QueueUp(group, first, step, base, thin);
    if (makes_chains_) queue_.EndChain();
  });
}

// Returns the end of what it used of thin, as QueueUp does.
float* LinearRun::QueueDown(const LinearGroup& group, int64_t first,
                            absl::Span<const LowRankSegment> segments,
                            float* thin) {
  const ConstRows x = Part(x_, first, group.rows);
  for (const LowRankSegment& segment : segments) {
    cpu::LinearTile tile = DownTile(segment, x, queue_.ReserveTerms(1));
    tile.out_scale = static_cast<const float*>(segment.rank_scale.data);
    tile.y = thin;
    queue_.Add(tile);
    thin += group.rows * tile.y_stride;
  }
  return thin;
}

float* LinearRun::QueueUp(const LinearGroup& group, int64_t first, Step step,
                          const cpu::Term* base, float* thin) {
  if (!with_bias_) step.bias = {};
  step.round_inputs = base != nullptr && round_inputs_;
  CloseGates(step.segments, group, thin);
  if (base != nullptr || step.ChangesY()) {
    QueueStep(step, base, base == nullptr, thin, Part(y_, first, group.rows),
              queue_);
  }
  return thin + ThinFloats(step.segments, group.rows);
}

// x * in_scale, for the groups that have one.
ConstRows LinearRun::ScaledInput() {
  const Rows scaled = {workspace_, x_.rows, x_.cols, x_.cols};
  workspace_ += x_.rows * x_.cols;
  ForEachGroup([&](const LinearGroup& group, int64_t first) {
    const auto* scale = static_cast<const float*>(group.plan->in_scale.data);
    for (int64_t row = first; row < first + group.rows; ++row) {
      const float* const from = x_.data + row * x_.stride;
      float* const to = scaled.data + row * scaled.stride;
      for (int64_t i = 0; i < x_.cols; ++i) {
        to[i] = scale == nullptr ? from[i] : from[i] * scale[i];
      }
    }
  });
  return scaled;
}

// Consecutive groups of one weight share a product.
void LinearRun::QueueBases(ConstRows x) {
  int64_t first = 0;
  for (size_t i = 0; i < groups_.size();) {
    const void* const weight = groups_[i].plan->weight.data;
    const LinearGroup& group = groups_[i];
    int64_t rows = 0;
    while (i < groups_.size() && groups_[i].plan->weight.data == weight) {
      rows += groups_[i++].rows;
    }
    cpu::Term base = BaseTerm(group, Part(x, first, rows));
    workspace_ = PackInputs(rows, workspace_, nullptr, &base);
    Step step;
    step.round_inputs = round_inputs_;
    QueueStep(step, &base, false, nullptr, Part(y_, first, rows), queue_);
    first += rows;
  }
}

// Returns where the patched outputs will be, group after group.
const float* LinearRun::QueuePatches(ConstRows x) {
  float* const patches = workspace_;
  ForEachGroup([&](const LinearGroup& group, int64_t first) {
    if (!HasPatch(*group.plan)) return;
    const MatrixView& rows = group.plan->patch.rows;
    const ConstRows part = Part(x, first, group.rows);
    const cpu::Term term = TermOf(rows, false, part.data, part.stride);
    QueueStep(Step(), &term, false, nullptr,
              {workspace_, group.rows, rows.rows, PaddedRank(rows.rows)},
              queue_);
    workspace_ += PatchFloats(group);
  });
  return patches;
}

void LinearRun::ScatterPatches(const float* patches) {
  ForEachGroup([&](const LinearGroup& group, int64_t first) {
    const RowPatch& patch = group.plan->patch;
    const int64_t stride = PaddedRank(patch.rows.rows);
    for (int64_t row = 0; row < group.rows; ++row) {
      float* const y = y_.data + (first + row) * y_.stride;
      for (int64_t i = 0; i < patch.rows.rows; ++i) {
        y[patch.ids[i]] = patches[row * stride + i];
      }
    }
    patches += PatchFloats(group);
  });
}

}  // namespace kernels
}  // namespace peft
