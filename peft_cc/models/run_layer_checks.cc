// What a layer may be asked to run, and what not.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/layer_checks.h"
#include "peft_cc/models/run_layer.h"

namespace peft {
namespace {

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
    PEFT_RETURN_IF_ERROR(CheckGates(*site_, plan->linear(index_)));
    PEFT_RETURN_IF_ERROR(mode_ == Mode::kWhole
                             ? CheckWhole(*plan)
                             : CheckOnlyAdds(*site_, index_, *plan));
  }
  return absl::OkStatus();
}

absl::Status LayerRunner::CheckWhole(const Plan& plan) const {
  const bool is_norm = site_->kind == SiteKind::kNorm;
  if (is_norm && site_->norm_epsilon < 0) {
    return UnimplementedLayer(
        *site_, "a norm of an opened model cannot be run by itself");
  }
  const void* const weight =
      is_norm ? plan.norm(index_).weight.data : plan.linear(index_).weight.data;
  return weight != nullptr ? absl::OkStatus() : MissingWeight(*site_);
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
    const int64_t last = site_->in_features - 1;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kTokenOutOfRange,
        absl::StrCat("input of layer ", Quoted(site_->name),
                     ": expected ids from 0 to ", last, ", found ", id),
        {site_->name, absl::StrCat("0 to ", last), absl::StrCat(id)});
  }
  return absl::OkStatus();
}

}  // namespace peft
