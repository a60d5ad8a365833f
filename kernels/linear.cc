#include "kernels/linear.h"

#include <algorithm>
#include <cassert>

#include "absl/container/inlined_vector.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/linear_run.h"
#include "kernels/product_queue.h"
#include "kernels/stacked_downs.h"

namespace peft {
namespace kernels {
namespace {

using Groups = absl::Span<const LinearGroup>;

// What is queued next needs what has been queued.
void BeginPart(absl::Span<const LinearRun> runs, ProductQueue& queue) {
  for (const LinearRun& run : runs) {
    if (!run.HasOnlyProducts()) return queue.Run();
  }
  queue.BeginPart();
}

bool CanSumApart(absl::Span<const LinearRun> runs) {
  for (const LinearRun& run : runs) {
    if (!run.CanSumApart()) return false;
  }
  return true;
}

// With the base products queued: the first step, up to what is left queued.
void RunFirstUps(absl::Span<LinearRun> runs, ProductQueue& queue,
                 ThreadPool& pool) {
  if (!CanSumApart(runs)) {
    BeginPart(runs, queue);
    for (LinearRun& run : runs) run.QueueFirstUps();
    return;
  }
  queue.BeginBetween();
  for (LinearRun& run : runs) run.QueueApart();
  queue.Run();
  const int64_t parts = pool.num_threads();
  pool.ParallelForBriefly(parts, [&](int64_t part) {
    for (const LinearRun& run : runs) run.AddApart(part, parts);
  });
  for (LinearRun& run : runs) run.QueueFirstEnds();
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
  ProductQueue queue(pool);
  LinearRun run(call, x, workspace, &queue, with_bias);
  RunSteps(absl::MakeSpan(&run, 1), 0, queue);
}

}  // namespace

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
  RunFirstUps(absl::MakeSpan(runs), queue, pool);
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
