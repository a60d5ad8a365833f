#include "kernels/linear.h"

#include <algorithm>
#include <cassert>

#include "absl/container/inlined_vector.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/product_queue.h"
#include "kernels/stacked_downs.h"
#include "kernels/stages.h"

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

// One layer's part of a call. Its products go to the queue that it is given;
// what a method queues must have run before the next method is called.
class LinearRun {
 public:
  LinearRun(const LinearCall& call, ConstRows x, float* workspace,
            ProductQueue* queue, bool with_bias = true)
      : groups_(call.groups),
        x_(x),
        y_(call.y),
        round_inputs_(call.round_inputs),
        workspace_(workspace),
        queue_(*queue),
        with_bias_(with_bias),
        makes_chains_(MakesChains(call.groups, queue->num_threads())),
        num_steps_(MaxSteps(call.groups)) {}

  int num_steps() const { return num_steps_; }

  // Whether nothing but products happens between those that are queued.
  bool HasOnlyProducts() const {
    for (const LinearGroup& group : groups_) {
      if (group.gates != nullptr || HasPatch(*group.plan)) return false;
    }
    return true;
  }

  // Another product makes the first x A^T: at `thin`, `stride` floats apart.
  void TakeThin(float* thin, int64_t stride) {
    taken_thin_ = thin;
    taken_stride_ = stride;
  }

  // What the first step needs, base products included. One plan without a patch
  // goes through its base product and its first step in one pass. `earlier`, or
  // null, is a layer of the same x that did this before.
  void QueueBase(const LinearRun* earlier) {
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

  void QueueFirstUps() {
    if (!fused_) ScatterPatches(patches_);
    QueueUps(0, fused_ ? &base_ : nullptr);
  }

  // thin = scale * (x A^T) rank_scale of every segment of step `index`. Not yet
  // where QueueUps makes chains.
  void QueueDowns(int index) {
    if (makes_chains_) return;
    float* thin = workspace_;
    ForEachStep(index, [&](const LinearGroup& group, int64_t first, Step step) {
      thin = QueueDown(group, first, step.segments, thin);
    });
  }

  // The rest of step `index`, with the base product where it is given.
  void QueueUps(int index, const cpu::Term* base) {
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

 private:
  // Whether both products of a step are better run one after the other for each
  // group, by one thread: A and B lie side by side in their file, and memory is
  // read a quarter faster in longer pieces. That takes groups for all threads.
  static bool MakesChains(Groups groups, int threads) {
    constexpr size_t kGroupsOfThread = 8;
    if (groups.size() < kGroupsOfThread * static_cast<size_t>(threads)) {
      return false;
    }
    for (const LinearGroup& group : groups) {
      if (group.rows > kFewRows || group.gates != nullptr) return false;
    }
    return true;
  }

  // Returns the end of what it used of thin, as QueueUp does.
  float* QueueDown(const LinearGroup& group, int64_t first,
                   absl::Span<const LowRankSegment> segments, float* thin) {
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

  float* QueueUp(const LinearGroup& group, int64_t first, Step step,
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

  // Calls call(group, first row) for every group.
  template <typename Call>
  void ForEachGroup(Call call) {
    int64_t first = 0;
    for (const LinearGroup& group : groups_) {
      call(group, first);
      first += group.rows;
    }
  }

  // The same with step `index`, for every group that has it.
  template <typename Call>
  void ForEachStep(int index, Call call) {
    ForEachGroup([&](const LinearGroup& group, int64_t first) {
      if (index >= NumSteps(*group.plan)) return;
      call(group, first, StepOf(*group.plan, index));
    });
  }

  // x * in_scale, for the groups that have one.
  ConstRows ScaledInput() {
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

  static cpu::Term BaseTerm(const LinearGroup& group, ConstRows x) {
    return TermOf(group.plan->weight, group.plan->transposed, x.data, x.stride);
  }

  // Consecutive groups of one weight share a product.
  void QueueBases(ConstRows x) {
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
  const float* QueuePatches(ConstRows x) {
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

  void ScatterPatches(const float* patches) {
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

  const Groups groups_;
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
  float* taken_thin_ = nullptr;
  int64_t taken_stride_ = 0;
};

// What is queued next needs what has been queued.
void BeginPart(absl::Span<const LinearRun> runs, ProductQueue& queue) {
  for (const LinearRun& run : runs) {
    if (!run.HasOnlyProducts()) return queue.Run();
  }
  queue.BeginPart();
}

void RunSteps(absl::Span<LinearRun> runs, int first, ProductQueue& queue) {
  int steps = 0;
  for (const LinearRun& run : runs) steps = std::max(steps, run.num_steps());
  for (int index = first; index < steps; ++index) {
    for (LinearRun& run : runs) run.QueueDowns(index);
    BeginPart(runs, queue);
    for (LinearRun& run : runs) run.QueueUps(index, nullptr);
    queue.Run();
  }
}

void RunStagesOf(const LinearCall& call, ConstRows x, float* workspace,
                 bool with_bias, ThreadPool& pool) {
  assert(x.rows == call.y.rows);
  ProductQueue queue(pool);
  LinearRun run(call, x, workspace, &queue, with_bias);
  RunSteps(absl::MakeSpan(&run, 1), 0, queue);
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
  int64_t thin = 0;
  const int steps = MaxSteps(groups);
  for (int index = 0; index < steps; ++index) {
    thin = std::max(thin, StepFloats(groups, index));
  }
  return floats + thin;
}

int64_t LinearWorkspaceFloats(const LinearPlan& plan, int64_t rows) {
  const LinearGroup group = {&plan, rows};
  return LinearWorkspaceFloats(absl::MakeConstSpan(&group, 1));
}

bool ExceedsCaches(int64_t bytes) {
  return bytes > cpu::Kernels().cached_bytes;
}

void RunLinears(absl::Span<const LinearCall> calls, ConstRows x,
                float* workspace, ThreadPool& pool, bool past_caches) {
  assert(calls.size() <= kMaxLinears);
  ProductQueue queue(pool, past_caches);
  StackOfDowns stack;
  const StackedDowns downs = QueueStack(calls, x, workspace, stack, queue);
  absl::InlinedVector<LinearRun, kMaxLinears> runs;
  for (const LinearCall& call : calls) {
    assert(x.rows == call.y.rows);
    if (call.groups.empty()) continue;
    runs.emplace_back(call, x, workspace, &queue);
    if (&call != &calls.back()) workspace += LinearWorkspaceFloats(call.groups);
  }
  for (size_t i = 0; downs.thin != nullptr && i < runs.size(); ++i) {
    runs[i].TakeThin(downs.thin + i * downs.rank, downs.stride);
  }
  const LinearRun* earlier = nullptr;
  for (LinearRun& run : runs) {
    run.QueueBase(earlier);
    earlier = &run;
  }
  BeginPart(runs, queue);
  for (LinearRun& run : runs) run.QueueFirstUps();
  queue.Run();
  RunSteps(absl::MakeSpan(runs), 1, queue);
}

void RunLinear(Groups groups, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool) {
  const LinearCall call = {groups, y};
  RunLinears(absl::MakeConstSpan(&call, 1), x, workspace, pool);
}

void RunLinear(const LinearPlan& plan, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool) {
  const LinearGroup group = {&plan, y.rows};
  RunLinear(absl::MakeConstSpan(&group, 1), x, y, workspace, pool);
}

void RunStages(Groups groups, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool) {
  RunStagesOf({groups, y}, x, workspace, /*with_bias=*/true, pool);
}

void RunStagesWithoutBias(Groups groups, ConstRows x, Rows y, float* workspace,
                          ThreadPool& pool) {
  RunStagesOf({groups, y}, x, workspace, /*with_bias=*/false, pool);
}

}  // namespace kernels
}  // namespace peft
