#include "benchmarks/cuda/own_side.h"

#include "absl/memory/memory.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::DeviceMatrix;
using kernels::cuda::DevicePtr;
using kernels::cuda::ExpandArgs;
using kernels::cuda::InputArgs;
using kernels::cuda::KernelTypes;
using kernels::cuda::kTileOutputs;
using kernels::cuda::kUnitRanks;
using kernels::cuda::LowRankArgs;
using kernels::cuda::LowRankTerm;
using kernels::cuda::OutputArgs;
using kernels::cuda::RowGroup;
using kernels::cuda::RowTile;
using kernels::cuda::StreamHandle;

constexpr KernelTypes kTypes = {DType::kBF16, DType::kBF16};

int32_t ChunksOf(int64_t rank) {
  return static_cast<int32_t>((rank + kTileOutputs - 1) / kTileOutputs);
}

int32_t UnitsOf(int64_t rank) {
  return static_cast<int32_t>((rank + kUnitRanks - 1) / kUnitRanks);
}

InputArgs InputOf(const LayerInputs& inputs) {
  const DeviceMatrix& x = inputs.x().device;
  InputArgs input;
  input.x = x.data;
  input.stride = x.stride;
  input.size = x.cols;
  return input;
}

OutputArgs OutputOf(const DeviceMatrix& y) {
  OutputArgs output;
  output.y = y.data;
  output.stride = y.stride;
  output.size = y.cols;
  return output;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OwnSide>> OwnSide::Create(
    const CudaBench& bench, const LayerInputs& inputs) {
  auto side = absl::WrapUnique(new OwnSide(bench, inputs));
  PEFT_RETURN_IF_ERROR(side->UploadTerms());
  PEFT_ASSIGN_OR_RETURN(const bool fused, side->PlanFused());
  if (!fused) PEFT_RETURN_IF_ERROR(side->PlanShrinkAndExpand());
  return side;
}

absl::Status OwnSide::UploadTerms() {
  const LayerShape& shape = inputs_.shape();
  const DeviceMatrix& a = inputs_.a().device;
  std::vector<LowRankTerm> terms;
  for (int64_t adapter = 0; adapter < shape.adapters; ++adapter) {
    for (int output = 0; output < shape.num_outputs(); ++output) {
      LowRankTerm& term = terms.emplace_back();
      term.a = a.data + inputs_.FirstRank(adapter, output) * a.stride *
                            DTypeSize(a.dtype);
      term.b = inputs_.b(adapter, output).device.data;
      term.scale = kScale;
      term.rank = static_cast<int32_t>(shape.rank);
      term.column = static_cast<int32_t>(output * shape.rank);
    }
  }
  PEFT_ASSIGN_OR_RETURN(terms_, memory_.Upload(bench_, terms));
  return absl::OkStatus();
}

absl::StatusOr<LowRankArgs> OwnSide::LowRank(int output, int outputs) {
  const LayerShape& shape = inputs_.shape();
  std::vector<RowGroup> groups;
  for (int64_t i = 0; i < shape.adapters; ++i) {
    groups.push_back({shape.rows / shape.adapters,
                      static_cast<int32_t>(i * shape.num_outputs() + output),
                      outputs});
  }
  const std::vector<RowTile> tiles = kernels::cuda::MakeTiles(groups);
  LowRankArgs args;
  args.num_tiles = static_cast<int32_t>(tiles.size());
  args.terms = terms_;
  args.rows = shape.rows;
  args.columns = static_cast<int32_t>(shape.ranks());
  args.chunks = outputs * ChunksOf(shape.rank);
  PEFT_ASSIGN_OR_RETURN(args.tiles, memory_.Upload(bench_, tiles));
  return args;
}

absl::StatusOr<bool> OwnSide::PlanFused() {
  const LayerShape& shape = inputs_.shape();
  PEFT_ASSIGN_OR_RETURN(const DevicePtr counts,
                        memory_.Upload(bench_, std::vector<uint32_t>{0, 0}));
  for (int i = 0; i < shape.num_outputs(); ++i) {
    FusedLaunch launch;
    PEFT_ASSIGN_OR_RETURN(launch.args.low_rank, LowRank(i, 1));
    const LowRankArgs& low_rank = launch.args.low_rank;
    const auto plan = bench_.kernels.PlanFused(
        kTypes, {shape.rows, shape.in, shape.outs[i], low_rank.num_tiles,
                 UnitsOf(shape.rank)});
    if (!plan.has_value()) return false;
    launch.plan = *plan;
    const int64_t bytes = plan->t_floats() * int64_t{sizeof(float)};
    PEFT_ASSIGN_OR_RETURN(launch.args.low_rank.t,
                          memory_.Allocate(bench_, bytes));
    PEFT_ASSIGN_OR_RETURN(const DeviceMatrix y,
                          memory_.Matrix(bench_, shape.rows, shape.outs[i]));
    y_.push_back(y);
    launch.args.input = InputOf(inputs_);
    launch.args.output = OutputOf(y);
    launch.args.output.weight = inputs_.weight(i).device.data;
    launch.args.arrived = counts;
    launch.args.left = counts + sizeof(uint32_t);
    fused_.push_back(launch);
  }
  return true;
}

absl::Status OwnSide::PlanShrinkAndExpand() {
  const int outputs = inputs_.shape().num_outputs();
  PEFT_ASSIGN_OR_RETURN(base_, LtSide::Create(bench_, inputs_, Work::kBase));
  PEFT_ASSIGN_OR_RETURN(shrink_.low_rank, LowRank(0, outputs));
  LowRankArgs& low_rank = shrink_.low_rank;
  low_rank.splits = bench_.kernels.ChooseSplits(
      inputs_.shape().in, low_rank.num_tiles, low_rank.chunks);
  const int64_t floats = low_rank.splits * low_rank.rows * low_rank.columns;
  PEFT_ASSIGN_OR_RETURN(
      low_rank.t, memory_.Allocate(bench_, floats * int64_t{sizeof(float)}));
  shrink_.input = InputOf(inputs_);
  for (int i = 0; i < outputs; ++i) {
    y_.push_back(base_->y(i));
    ExpandArgs& args = expands_.emplace_back();
    PEFT_ASSIGN_OR_RETURN(args.low_rank, LowRank(i, 1));
    args.low_rank.t = shrink_.low_rank.t;
    args.low_rank.splits = shrink_.low_rank.splits;
    args.output = OutputOf(y_.back());
  }
  return absl::OkStatus();
}

absl::Status OwnSide::Run() {
  for (const FusedLaunch& launch : fused_) {
    PEFT_RETURN_IF_ERROR(
        bench_.kernels.Fused(kTypes.x, launch.plan, launch.args, stream()));
  }
  if (base_ == nullptr) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(base_->Run());
  PEFT_RETURN_IF_ERROR(bench_.kernels.Shrink(kTypes, shrink_, stream()));
  for (const ExpandArgs& args : expands_) {
    PEFT_RETURN_IF_ERROR(bench_.kernels.Expand(kTypes, args, stream()));
  }
  return absl::OkStatus();
}

StreamHandle OwnSide::stream() const { return bench_.timer.stream().stream; }

absl::StatusOr<float> OwnSide::At(Computed what, int output, int64_t row,
                                  int64_t col) {
  if (what != Computed::kY) {
    return absl::UnimplementedError("our own kernels compute no gradients");
  }
  return ReadNumber(bench_, y_[output], row, col);
}

}  // namespace peft
