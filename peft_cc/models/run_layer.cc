#include "peft_cc/models/run_layer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/convolution.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/nn.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr char kWorkspace[] = "the workspace of a layer";

absl::Status Wrong(const Site& site, absl::string_view id,
                   absl::string_view what, absl::string_view expected,
                   absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, id,
                   absl::StrCat(what, " of layer ", Quoted(site.name),
                                ": expected ", expected, ", found ", found),
                   {site.name, std::string(expected), std::string(found)});
}

absl::Status WrongShape(const Site& site, absl::string_view what,
                        absl::string_view expected, const ArrayView& view) {
  return Wrong(site, error_id::kTensorShapeMismatch, what, expected,
               ShapeToString(view.sizes));
}

absl::Status WrongDType(const Site& site, absl::string_view what,
                        absl::string_view expected, DType found) {
  return Wrong(site, error_id::kTensorDType, what, expected, DTypeName(found));
}

absl::Status WrongStrides(const Site& site, absl::string_view what) {
  return ArgumentError(
      absl::StrCat(what, " of layer ", Quoted(site.name),
                   ": its strides are not those of contiguous rows at a "
                   "regular distance; copy it to an array whose are"),
      {site.name, "contiguous rows", "other strides"});
}

absl::Status Unimplemented(const Site& site, absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                   absl::StrCat("layer ", Quoted(site.name), ": ", what),
                   {site.name, "", ""});
}

absl::Status NoDelta(const Site& site, absl::string_view why) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   error_id::kLayerNoDelta,
                   absl::StrCat("layer ", Quoted(site.name),
                                ": there is nothing to add to its output, as ",
                                why, "; run the layer, or merge"),
                   {site.name, "what only adds", ""});
}

// Terms that count for some rows only.
bool HasGates(const kernels::LinearPlan& plan) {
  for (const kernels::LinearStage& stage : plan.stages) {
    for (const kernels::LowRankSegment& segment : stage.low_rank) {
      if (segment.gate >= 0) return true;
    }
  }
  return false;
}

bool HasOutScale(const kernels::LinearPlan& plan) {
  return std::any_of(plan.stages.begin(), plan.stages.end(),
                     [](const kernels::LinearStage& stage) {
                       return stage.out_scale.data != nullptr;
                     });
}

bool IsAlignedF32(const ArrayView& view) {
  return view.dtype == DType::kF32 &&
         reinterpret_cast<uintptr_t>(view.data) % alignof(float) == 0;
}

// The axes that a row of the input has.
int RowAxes(const Site& site, const ArrayView& x) {
  if (site.kind == SiteKind::kEmbedding) return 0;
  return site.kind == SiteKind::kConvolution ? x.rank() : 1;
}

}  // namespace

absl::StatusOr<absl::Span<const int64_t>> LayerRunner::OutputShape(
    int site, const ArrayView& x) {
  site_ = &sites_.sites()[site];
  PEFT_RETURN_IF_ERROR(SetShape(x));
  return absl::Span<const int64_t>(y_sizes_);
}

absl::Status LayerRunner::Run(int site, RowPlans plans, const ArrayView& x,
                              const ArrayView& y) {
  return RunAs(Mode::kWhole, site, plans, x, y);
}

absl::Status LayerRunner::AddDelta(int site, RowPlans plans, const ArrayView& x,
                                   const ArrayView& y) {
  return RunAs(Mode::kDelta, site, plans, x, y);
}

absl::Status LayerRunner::RunAs(Mode mode, int site, RowPlans plans,
                                const ArrayView& x, const ArrayView& y) {
  mode_ = mode;
  index_ = site;
  site_ = &sites_.sites()[site];
  const PoolCheck pool_check(pool_);
  PEFT_RETURN_IF_ERROR(SetShape(x));
  PEFT_RETURN_IF_ERROR(CheckOutput(y));
  PEFT_RETURN_IF_ERROR(CheckPlans(plans));
  PEFT_RETURN_IF_ERROR(MakeGroups(plans, x));
  if (CheckedNumElements(y.sizes).value_or(0) == 0) return absl::OkStatus();
  if (Overlap(x, x_rows_.extent(), y, y_rows_.extent())) {
    return ArgumentError("x and y overlap", {"y", "", ""});
  }
  PEFT_RETURN_IF_ERROR(site_->kind == SiteKind::kEmbedding ? TakeIds(x)
                                                           : TakeInput(x));
  PEFT_RETURN_IF_ERROR(TakeOutput(y));
  PEFT_RETURN_IF_ERROR(RunKind());
  if (y_ == y_buffer_.data()) RowsFromF32(y_, y_rows_, y);
  return pool_check.status();
}

absl::Status LayerRunner::SetShape(const ArrayView& x) {
  y_sizes_.assign(x.sizes.begin(), x.sizes.end());
  if (site_->kind == SiteKind::kEmbedding) {
    if (x.dtype != DType::kI64 && x.dtype != DType::kI32) {
      return WrongDType(*site_, "input", "I64 or I32 ids", x.dtype);
    }
    y_sizes_.push_back(site_->out_features);
  } else {
    if (!IsComputeDType(x.dtype)) {
      return WrongDType(*site_, "input", "F32, BF16 or F16", x.dtype);
    }
    if (site_->kind == SiteKind::kConvolution) {
      PEFT_RETURN_IF_ERROR(SetConvolutionShape(x));
    } else if (x.rank() == 0 || x.sizes.back() != site_->in_features) {
      return WrongShape(*site_, "input",
                        absl::StrCat("[..., ", site_->in_features, "]"), x);
    } else {
      y_sizes_.back() = site_->out_features;
    }
  }
  const std::optional<ArrayRows> rows = RowsOf(x, RowAxes(*site_, x));
  if (!rows.has_value()) return WrongStrides(*site_, "input");
  x_rows_ = *rows;
  return absl::OkStatus();
}

absl::Status LayerRunner::SetConvolutionShape(const ArrayView& x) {
  const kernels::ConvGeometry& geometry = site_->conv;
  const int channel_axis = x.rank() - geometry.num_axes - 1;
  if ((channel_axis != 0 && channel_axis != 1) ||
      x.sizes[channel_axis] != geometry.in_channels) {
    return WrongShape(
        *site_, "input",
        absl::StrCat("[batch, ", geometry.in_channels, "] and ",
                     geometry.num_axes, " more axes, or without batch"),
        x);
  }
  conv_input_ = {1, 1, 1};
  std::copy(x.sizes.end() - geometry.num_axes, x.sizes.end(),
            conv_input_.end() - geometry.num_axes);
  conv_output_ = kernels::ConvOutputSizes(geometry, conv_input_);
  y_sizes_[channel_axis] = geometry.out_channels;
  for (int i = 0; i < geometry.num_axes; ++i) {
    const int64_t size = conv_output_[3 - geometry.num_axes + i];
    if (size <= 0) {
      return WrongShape(*site_, "input",
                        "an input that is as large as the kernel", x);
    }
    y_sizes_[channel_axis + 1 + i] = size;
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::CheckOutput(const ArrayView& y) {
  if (!IsComputeDType(y.dtype)) {
    return WrongDType(*site_, "output", "F32, BF16 or F16", y.dtype);
  }
  if (y.sizes != absl::MakeConstSpan(y_sizes_)) {
    return WrongShape(*site_, "output", ShapeToString(y_sizes_), y);
  }
  const int axes = site_->kind == SiteKind::kConvolution ? y.rank() : 1;
  const std::optional<ArrayRows> rows = RowsOf(y, axes);
  if (!rows.has_value()) return WrongStrides(*site_, "output");
  y_rows_ = *rows;
  return absl::OkStatus();
}

absl::Status LayerRunner::CheckPlans(RowPlans plans) const {
  const Plan* checked = nullptr;
  for (const Plan* plan : plans) {
    if (plan == checked) continue;
    checked = plan;
    if (HasGates(plan->linear(index_))) {
      return Unimplemented(*site_,
                           "an adapter with alora_invocation_tokens is active, "
                           "which needs the tokens of the whole sequence");
    }
    PEFT_RETURN_IF_ERROR(mode_ == Mode::kWhole ? CheckWhole(*plan)
                                               : CheckDelta(*plan));
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::CheckWhole(const Plan& plan) const {
  const bool is_norm = site_->kind == SiteKind::kNorm;
  if (is_norm && site_->norm_epsilon < 0) {
    return Unimplemented(*site_,
                         "a norm of an opened model cannot be run by itself");
  }
  const void* const weight =
      is_norm ? plan.norm(index_).weight.data : plan.linear(index_).weight.data;
  if (weight != nullptr) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kLayerWeight,
      absl::StrCat("layer ", Quoted(site_->name),
                   ": the program kept its weight to itself; run it there and "
                   "add the delta, or register the weight"),
      {site_->name, "a weight", "none"});
}

absl::Status LayerRunner::CheckDelta(const Plan& plan) const {
  if (site_->kind == SiteKind::kNorm) {
    return NoDelta(*site_, "it is a norm, which adapters replace");
  }
  const kernels::LinearPlan& linear = plan.linear(index_);
  if (linear.weight.data != site_->weight.data()) {
    return NoDelta(*site_, plan.overlay() != nullptr
                               ? "adapters are merged into its weight"
                               : "an adapter replaces its weight");
  }
  if (linear.patch.rows.rows > 0) {
    return NoDelta(*site_, "an adapter replaces rows of its weight");
  }
  if (linear.in_scale.data != nullptr) {
    return NoDelta(*site_, "an adapter scales its input");
  }
  if (HasOutScale(linear)) {
    return NoDelta(*site_, "an adapter scales its output");
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::MakeGroups(RowPlans plans, const ArrayView& x) {
  const bool is_conv = site_->kind == SiteKind::kConvolution;
  // A single row, or input, has no axis of its own.
  const int inner = is_conv ? site_->conv.num_axes + 1
                    : site_->kind == SiteKind::kEmbedding ? 0
                                                          : 1;
  const int64_t batch = x.rank() > inner ? x.sizes[0] : 1;
  const auto count = static_cast<int64_t>(plans.size());
  if (count != 1 && count != batch) {
    return ArgumentError(absl::StrCat("adapters are given for ", count,
                                      " rows, but the input has ", batch),
                         {"x", absl::StrCat(batch), absl::StrCat(count)});
  }
  const int64_t rows = is_conv ? batch : x_rows_.rows;
  groups_.clear();
  if (count == 1) {
    groups_.push_back({plans[0], rows});
    return absl::OkStatus();
  }
  for (const Plan* plan : plans) {
    if (groups_.empty() || groups_.back().plan != plan) {
      groups_.push_back({plan, 0});
    }
    groups_.back().rows += rows / batch;
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::TakeInput(const ArrayView& x) {
  x_ = static_cast<const float*>(x.data);
  x_stride_ = x_rows_.stride;
  if (IsAlignedF32(x)) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(x_buffer_.Reserve(
      CheckedProduct({x_rows_.rows, x_rows_.cols}), "the input of a layer"));
  RowsToF32(x, x_rows_, x_buffer_.data());
  x_ = x_buffer_.data();
  x_stride_ = x_rows_.cols;
  return absl::OkStatus();
}

absl::Status LayerRunner::TakeIds(const ArrayView& x) {
  ids_.resize(x_rows_.rows);
  const auto* from = static_cast<const char*>(x.data);
  for (int64_t& id : ids_) {
    int32_t narrow = 0;
    const bool wide = x.dtype == DType::kI64;
    std::memcpy(wide ? static_cast<void*>(&id) : &narrow, from,
                DTypeSize(x.dtype));
    if (!wide) id = narrow;
    from += x_rows_.stride * DTypeSize(x.dtype);
    if (id >= 0 && id < site_->in_features) continue;
    return Wrong(*site_, error_id::kTokenOutOfRange, "input",
                 absl::StrCat("ids from 0 to ", site_->in_features - 1),
                 absl::StrCat(id));
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::TakeOutput(const ArrayView& y) {
  y_ = static_cast<float*>(const_cast<void*>(y.data));
  y_stride_ = y_rows_.stride;
  if (IsAlignedF32(y)) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(y_buffer_.Reserve(
      CheckedProduct({y_rows_.rows, y_rows_.cols}), "the output of a layer"));
  y_ = y_buffer_.data();
  y_stride_ = y_rows_.cols;
  if (mode_ == Mode::kDelta) RowsToF32(y, y_rows_, y_);
  return absl::OkStatus();
}

absl::Status LayerRunner::RunKind() {
  linear_groups_.clear();
  for (const Group& group : groups_) {
    linear_groups_.push_back({&group.plan->linear(index_), group.rows});
  }
  switch (site_->kind) {
    case SiteKind::kNorm:
      RunNorm();
      return absl::OkStatus();
    case SiteKind::kEmbedding:
      return RunEmbedding();
    case SiteKind::kConvolution:
      return RunConvolution();
    case SiteKind::kLinear:
    case SiteKind::kConv1D:
    case SiteKind::kMultiheadAttention:
    case SiteKind::kParameter:
      return RunLinear();
  }
  return Unimplemented(*site_, "is of a kind that cannot be run by itself");
}

absl::Status LayerRunner::RunLinear() {
  PEFT_RETURN_IF_ERROR(workspace_.Reserve(
      kernels::LinearWorkspaceFloats(linear_groups_), kWorkspace));
  const kernels::ConstRows x(x_, x_rows_.rows, x_rows_.cols, x_stride_);
  const kernels::Rows y = {y_, y_rows_.rows, y_rows_.cols, y_stride_};
  if (mode_ == Mode::kWhole) {
    kernels::RunLinear(linear_groups_, x, y, workspace_.data(), pool_);
    return absl::OkStatus();
  }
  kernels::RunStagesWithoutBias(linear_groups_, x, y, workspace_.data(), pool_);
  return AddBiasChange(1);
}

absl::Status LayerRunner::RunEmbedding() {
  PEFT_RETURN_IF_ERROR(workspace_.Reserve(
      kernels::EmbeddingWorkspaceFloats(linear_groups_), kWorkspace));
  const kernels::Rows y = {y_, y_rows_.rows, y_rows_.cols, y_stride_};
  const auto run = mode_ == Mode::kWhole ? kernels::RunEmbedding
                                         : kernels::RunEmbeddingStages;
  run(linear_groups_, ids_.data(), y, workspace_.data(), pool_);
  return absl::OkStatus();
}

absl::Status LayerRunner::RunConvolution() {
  const kernels::ConvGeometry& geometry = site_->conv;
  const auto volume = [](const kernels::ConvAxes& axes) {
    return axes[0] * axes[1] * axes[2];
  };
  const int64_t x_size = geometry.in_channels * volume(conv_input_);
  const int64_t y_size = geometry.out_channels * volume(conv_output_);
  const auto run = mode_ == Mode::kWhole ? kernels::RunConvolution
                                         : kernels::AddConvolutionStages;
  int64_t first = 0;
  for (const kernels::LinearGroup& group : linear_groups_) {
    PEFT_RETURN_IF_ERROR(
        workspace_.Reserve(kernels::ConvolutionWorkspaceFloats(
                               *group.plan, geometry, group.rows, conv_input_),
                           kWorkspace));
    run(*group.plan, geometry, group.rows, conv_input_, x_ + first * x_size,
        y_ + first * y_size, workspace_.data(), pool_);
    first += group.rows;
  }
  return mode_ == Mode::kWhole ? absl::OkStatus()
                               : AddBiasChange(volume(conv_output_));
}

void LayerRunner::RunNorm() {
  int64_t first = 0;
  for (const Group& group : groups_) {
    const NormPlan& norm = group.plan->norm(index_);
    const kernels::ConstRows x(x_ + first * x_stride_, group.rows, x_rows_.cols,
                               x_stride_);
    const kernels::Rows y = {y_ + first * y_stride_, group.rows, y_rows_.cols,
                             y_stride_};
    if (site_->is_rms_norm) {
      kernels::RmsNorm(x, norm.weight, site_->norm_epsilon, y, pool_);
    } else {
      kernels::LayerNorm(x, norm.weight, norm.bias, site_->norm_epsilon, y,
                         pool_);
    }
    first += group.rows;
  }
}

bool LayerRunner::ChangesBias(const Plan& plan) const {
  return plan.linear(index_).bias.data !=
         (site_->has_bias() ? site_->bias.data() : nullptr);
}

absl::Status LayerRunner::AddBiasChange(int64_t inner) {
  const int64_t outputs = site_->out_features;
  // Rows of a convolution are its inputs, which are contiguous.
  const int64_t stride = inner == 1 && site_->kind != SiteKind::kConvolution
                             ? y_stride_
                             : outputs * inner;
  float* y = y_;
  for (const Group& group : groups_) {
    float* const end = y + group.rows * stride;
    if (!ChangesBias(*group.plan)) {
      y = end;
      continue;
    }
    PEFT_RETURN_IF_ERROR(bias_.Reserve(2 * outputs, kWorkspace));
    float* const change = bias_.data();
    float* const own = change + outputs;
    std::fill_n(change, 2 * outputs, 0.0f);
    const kernels::VectorView& bias = group.plan->linear(index_).bias;
    if (bias.data != nullptr) {
      ConvertToF32(bias.dtype, bias.data, outputs, change);
    }
    if (site_->has_bias()) {
      ConvertToF32(site_->bias.dtype(), site_->bias.data(), outputs, own);
    }
    for (int64_t i = 0; i < outputs; ++i) change[i] -= own[i];
    for (; y != end; y += stride) {
      for (int64_t i = 0; i < outputs * inner; ++i) y[i] += change[i / inner];
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> RunLayer(const SiteTable& sites, int index,
                                RowPlans plans, const Tensor& x,
                                kernels::ThreadPool& pool) {
  LayerRunner runner(sites, pool);
  const ArrayView input = {x.dtype(), x.shape(), {}, x.data()};
  PEFT_ASSIGN_OR_RETURN(const absl::Span<const int64_t> shape,
                        runner.OutputShape(index, input));
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor y,
      Tensor::Allocate(DType::kF32, {shape.begin(), shape.end()}, &data));
  const ArrayView output = {y.dtype(), y.shape(), {}, data};
  PEFT_RETURN_IF_ERROR(runner.Run(index, plans, input, output));
  return y;
}

}  // namespace peft
