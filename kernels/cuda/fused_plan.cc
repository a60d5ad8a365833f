#include "kernels/cuda/fused_plan.h"

#include <algorithm>

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Elements of 16 bytes.
constexpr int64_t kPiece = 8;
// More are slower on H100: the loads of the terms wait behind those of W.
constexpr int kMostStages = 4;
// Of a block that has the multiprocessor for itself.
constexpr int kMostStagesAlone = 6;
constexpr int kFewestStages = 2;
// Less of x than that is not worth a block, and each block adds up all splits.
constexpr int64_t kSmallestSplit = 512;
// More is not worth the shared memory that W could have.
constexpr int64_t kMostTermBytes = 64 << 10;
constexpr int kWarps = kThreads / 32;

int RowTilesOf(int64_t rows) {
  return rows <= kFusedColumns ? 1 : rows <= 2 * kFusedColumns ? 2 : 4;
}

// As device/fused_terms.inc lays it out, without the rings.
int64_t FixedBytes(const FusedPlan& plan) {
  const int tiles = plan.row_tiles + FusedTermTiles(plan.row_tiles);
  const int64_t sums =
      int64_t{kWarps} * tiles * kFusedColumns * kFusedSumStride;
  return (sums + plan.t_numbers) * static_cast<int64_t>(sizeof(float)) +
         int64_t{plan.units} * kFusedUnitBytes +
         kFusedColumns * plan.row_tiles * kFusedUnitsOfRowBytes +
         static_cast<int64_t>(sizeof(int));
}

// Chooses the stages and how many blocks run on a multiprocessor.
bool FitRings(const FusedLimits& limits, FusedPlan& plan) {
  const int64_t fixed = FixedBytes(plan);
  const int64_t stage = int64_t{kWarps} * FusedStageBytes(plan.row_tiles);
  for (const int blocks : {2, 1}) {
    const int64_t share =
        limits.shared_per_multiprocessor / blocks - limits.shared_reserved;
    const int64_t room =
        std::min<int64_t>(share, limits.shared_per_block) - fixed;
    const int64_t stages = std::min<int64_t>(
        room / stage, blocks == 1 ? kMostStagesAlone : kMostStages);
    // Two stages leave one on its way: a block alone has more.
    if (room < 0 || stages < (blocks == 1 ? kFewestStages : 3)) continue;
    plan.stages = static_cast<int>(stages);
    plan.shared_bytes = static_cast<size_t>(fixed + stages * stage);
    plan.blocks = blocks * limits.multiprocessors;
    return true;
  }
  return false;
}

}  // namespace

std::optional<FusedPlan> PlanFused(const FusedShape& shape,
                                   const FusedLimits& limits) {
  if (shape.rows > kMaxFusedRows || shape.in % kPiece != 0) return {};
  const int64_t units = int64_t{shape.num_tiles} * shape.units;
  const int64_t t_numbers = shape.rows * shape.units * kUnitRanks;
  if (units * kFusedUnitBytes + t_numbers * int64_t{sizeof(float)} >
      kMostTermBytes) {
    return {};
  }
  FusedPlan plan;
  plan.row_tiles = RowTilesOf(shape.rows);
  plan.units = static_cast<int32_t>(units);
  plan.t_numbers = static_cast<int32_t>(t_numbers);
  if (!FitRings(limits, plan)) return {};
  while (units > 0 && 2 * plan.splits * units <= plan.blocks &&
         shape.in / (2 * plan.splits) >= kSmallestSplit) {
    plan.splits *= 2;
  }
  const int64_t items = (shape.out + kFusedOutputs - 1) / kFusedOutputs;
  plan.blocks = static_cast<int>(
      std::min<int64_t>(plan.blocks, std::max(items, units * plan.splits)));
  return plan;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
