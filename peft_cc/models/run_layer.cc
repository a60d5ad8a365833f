#include "peft_cc/models/run_layer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/convolution.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/nn.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr char kWorkspace[] = "the workspace of a layer";

bool IsAlignedF32(const ArrayView& view) {
  return view.dtype == DType::kF32 &&
         reinterpret_cast<uintptr_t>(view.data) % alignof(float) == 0;
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
  return absl::OkStatus();
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
