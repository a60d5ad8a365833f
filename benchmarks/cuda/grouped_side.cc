#include "benchmarks/cuda/grouped_side.h"

#include "absl/memory/memory.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::DeviceMatrix;
using kernels::cuda::DevicePtr;
using kernels::cuda::GroupedLowRank;
using kernels::cuda::LowRankGroup;
using kernels::cuda::StreamHandle;

// Its rows from `first` on.
DeviceMatrix RowsOf(DeviceMatrix matrix, int64_t first, int64_t count) {
  matrix.data += first * matrix.stride * DTypeSize(matrix.dtype);
  matrix.rows = count;
  return matrix;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GroupedSide>> GroupedSide::Create(
    const CudaBench& bench, const LayerInputs& inputs) {
  auto side = absl::WrapUnique(new GroupedSide(bench));
  PEFT_ASSIGN_OR_RETURN(side->base_,
                        LtSide::Create(bench, inputs, Work::kBase));
  PEFT_RETURN_IF_ERROR(side->Plan(inputs));
  return side;
}

absl::Status GroupedSide::Plan(const LayerInputs& inputs) {
  const LayerShape& shape = inputs.shape();
  const int64_t rows = shape.rows / shape.adapters;
  std::vector<LowRankGroup> groups;
  for (int64_t i = 0; i < shape.adapters; ++i) {
    LowRankGroup& group = groups.emplace_back();
    group.x = RowsOf(inputs.x().device, i * rows, rows);
    group.a = RowsOf(inputs.a().device, inputs.FirstRank(i, 0), shape.rank);
    group.y = RowsOf(base_->y(0), i * rows, rows);
    PEFT_ASSIGN_OR_RETURN(group.t, memory_.Matrix(bench_, rows, shape.rank));
    PEFT_ASSIGN_OR_RETURN(
        const KnownMatrix b,
        memory_.Scaled(bench_, inputs.b(i, 0), kScaleDoublings));
    group.b = b.device;
  }
  PEFT_ASSIGN_OR_RETURN(const DevicePtr table,
                        memory_.Upload(bench_, GroupedLowRank::Table(groups)));
  PEFT_ASSIGN_OR_RETURN(low_rank_,
                        GroupedLowRank::Plan(&bench_.cache, groups, table));
  return absl::OkStatus();
}

absl::Status GroupedSide::Run() {
  PEFT_RETURN_IF_ERROR(base_->Run());
  return low_rank_.Run(bench_.timer.stream());
}

StreamHandle GroupedSide::stream() const { return base_->stream(); }

absl::StatusOr<float> GroupedSide::At(Computed what, int output, int64_t row,
                                      int64_t col) {
  return base_->At(what, output, row, col);
}

}  // namespace peft
