// What a layer may be asked to run, and what not.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/run_layer.h"

namespace peft {
namespace {

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

// The axes that a row of the input has.
int RowAxes(const Site& site, const ArrayView& x) {
  if (site.kind == SiteKind::kEmbedding) return 0;
  return site.kind == SiteKind::kConvolution ? x.rank() : 1;
}

}  // namespace

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

}  // namespace peft
