#include "kernels/embedding.h"

#include <algorithm>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/nn.h"
#include "kernels/product_queue.h"
#include "kernels/stages.h"

namespace peft {
namespace kernels {
namespace {

const char* Address(const MatrixView& matrix, int64_t row, int64_t col) {
  const int64_t index = row * matrix.stride + col;
  return static_cast<const char*>(matrix.data) +
         index * DTypeSize(matrix.dtype);
}

void PatchRows(const RowPatch& patch, const int64_t* ids, Rows y) {
  const int64_t* const end = patch.ids + patch.rows.rows;
  for (int64_t row = 0; patch.rows.rows > 0 && row < y.rows; ++row) {
    const int64_t* const found = std::lower_bound(patch.ids, end, ids[row]);
    if (found == end || *found != ids[row]) continue;
    cpu::Kernels().to_f32(ElemOf(patch.rows.dtype),
                          Address(patch.rows, found - patch.ids, 0), y.cols,
                          y.data + row * y.stride);
  }
}

// thin[t] = scale * A[:, ids[t]] * rank_scale.
void GatherColumns(const LowRankSegment& segment, const int64_t* ids,
                   int64_t rows, float* thin) {
  const int64_t stride = PaddedRank(segment.a.rows);
  const cpu::Elem elem = ElemOf(segment.a.dtype);
  const auto* const factor = static_cast<const float*>(segment.rank_scale.data);
  for (int64_t row = 0; row < rows; ++row) {
    float* const to = thin + row * stride;
    for (int64_t i = 0; i < segment.a.rows; ++i) {
      cpu::Kernels().to_f32(elem, Address(segment.a, i, ids[row]), 1, to + i);
      to[i] *= segment.scale * (factor == nullptr ? 1.0f : factor[i]);
    }
  }
}

// One step of one group, whose rows y and ids are.
void RunStep(const Step& step, const LinearGroup& group, const int64_t* ids,
             Rows y, float* thin, ThreadPool& pool) {
  if (!step.ChangesY()) return;
  float* next = thin;
  for (const LowRankSegment& segment : step.segments) {
    GatherColumns(segment, ids, y.rows, next);
    next += y.rows * PaddedRank(segment.a.rows);
  }
  CloseGates(step.segments, group, thin);
  ProductQueue queue(pool);
  QueueStep(step, nullptr, true, thin, y, queue);
  queue.Run();
}

}  // namespace

int64_t EmbeddingWorkspaceFloats(absl::Span<const LinearGroup> groups) {
  int64_t floats = 0;
  for (const LinearGroup& group : groups) {
    const int steps = NumSteps(*group.plan);
    for (int index = 0; index < steps; ++index) {
      floats = std::max(
          floats, ThinFloats(StepOf(*group.plan, index).segments, group.rows));
    }
  }
  return floats;
}

void RunEmbedding(absl::Span<const LinearGroup> groups, const int64_t* ids,
                  Rows y, float* workspace, ThreadPool& pool) {
  int64_t first = 0;
  for (const LinearGroup& group : groups) {
    const Rows part = {y.data + first * y.stride, group.rows, y.cols, y.stride};
    Embed(group.plan->weight, ids + first, part, pool);
    PatchRows(group.plan->patch, ids + first, part);
    first += group.rows;
  }
  RunEmbeddingStages(groups, ids, y, workspace, pool);
}

void RunEmbeddingStages(absl::Span<const LinearGroup> groups,
                        const int64_t* ids, Rows y, float* workspace,
                        ThreadPool& pool) {
  for (const LinearGroup& group : groups) {
    const Rows part = {y.data, group.rows, y.cols, y.stride};
    const int steps = NumSteps(*group.plan);
    for (int index = 0; index < steps; ++index) {
      RunStep(StepOf(*group.plan, index), group, ids, part, workspace, pool);
    }
    ids += group.rows;
    y.data += group.rows * y.stride;
  }
}

}  // namespace kernels
}  // namespace peft
