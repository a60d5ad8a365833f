#include "peft_cc/models/run_layer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/convolution.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/nn.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/float_buffer.h"

namespace peft {
namespace {

constexpr char kWorkspace[] = "the workspace of a layer";

absl::Status WrongInput(const Site& site, absl::string_view id,
                        absl::string_view expected, absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, id,
                   absl::StrCat("input of layer ", Quoted(site.name),
                                ": expected ", expected, ", found ", found),
                   {site.name, std::string(expected), std::string(found)});
}

absl::Status WrongShape(const Site& site, absl::string_view expected,
                        const Tensor& x) {
  return WrongInput(site, error_id::kTensorShapeMismatch, expected,
                    ShapeToString(x.shape()));
}

absl::Status Unimplemented(const Site& site, absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                   absl::StrCat("layer ", Quoted(site.name), ": ", what),
                   {site.name, "", ""});
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

// One call. Its buffers live until the result is there.
class LayerRun {
 public:
  LayerRun(const Site& site, const kernels::LinearPlan& plan, const Tensor& x,
           kernels::ThreadPool& pool)
      : site_(site), plan_(plan), x_(x), pool_(pool) {}

  absl::StatusOr<Tensor> Linear() {
    PEFT_RETURN_IF_ERROR(TakeRows());
    if (in_.rows == 0) return y_;
    PEFT_RETURN_IF_ERROR(workspace_.Reserve(
        kernels::LinearWorkspaceFloats(plan_, in_.rows), kWorkspace));
    kernels::RunLinear(plan_, in_, out_, workspace_.data(), pool_);
    return y_;
  }

  absl::StatusOr<Tensor> Norm(const NormPlan& norm) {
    PEFT_RETURN_IF_ERROR(TakeRows());
    if (in_.rows == 0) return y_;
    if (site_.is_rms_norm) {
      kernels::RmsNorm(in_, norm.weight, site_.norm_epsilon, out_, pool_);
    } else {
      kernels::LayerNorm(in_, norm.weight, norm.bias, site_.norm_epsilon, out_,
                         pool_);
    }
    return y_;
  }

  absl::StatusOr<Tensor> Embedding() {
    PEFT_RETURN_IF_ERROR(TakeIds());
    std::vector<int64_t> shape(x_.shape().begin(), x_.shape().end());
    shape.push_back(site_.out_features);
    PEFT_RETURN_IF_ERROR(AllocateOutput(std::move(shape)));
    const auto rows = static_cast<int64_t>(ids_.size());
    if (rows == 0) return y_;
    const kernels::LinearGroup group = {&plan_, rows};
    const auto groups = absl::MakeConstSpan(&group, 1);
    PEFT_RETURN_IF_ERROR(workspace_.Reserve(
        kernels::EmbeddingWorkspaceFloats(groups), kWorkspace));
    kernels::RunEmbedding(
        groups, ids_.data(),
        {y_data_, rows, site_.out_features, site_.out_features},
        workspace_.data(), pool_);
    return y_;
  }

  absl::StatusOr<Tensor> Convolution() {
    PEFT_RETURN_IF_ERROR(CastInput());
    PEFT_RETURN_IF_ERROR(CheckConvolutionInput());
    const kernels::ConvGeometry& geometry = site_.conv;
    const bool is_batch = x_.rank() == geometry.num_axes + 2;
    kernels::ConvAxes input = {1, 1, 1};
    std::copy(x_.shape().end() - geometry.num_axes, x_.shape().end(),
              input.end() - geometry.num_axes);
    const kernels::ConvAxes output = kernels::ConvOutputSizes(geometry, input);
    std::vector<int64_t> shape = {geometry.out_channels};
    if (is_batch) shape.insert(shape.begin(), x_.dim(0));
    for (int i = 3 - geometry.num_axes; i < 3; ++i) {
      if (output[i] > 0) shape.push_back(output[i]);
    }
    if (static_cast<int>(shape.size()) != x_.rank()) {
      return WrongShape(site_, "an input that is as large as the kernel", x_);
    }
    PEFT_RETURN_IF_ERROR(AllocateOutput(std::move(shape)));
    if (y_.num_elements() == 0) return y_;
    const int64_t batch = is_batch ? x_.dim(0) : 1;
    PEFT_RETURN_IF_ERROR(workspace_.Reserve(
        kernels::ConvolutionWorkspaceFloats(plan_, geometry, batch, input),
        kWorkspace));
    kernels::RunConvolution(plan_, geometry, batch, input, floats_, y_data_,
                            workspace_.data(), pool_);
    return y_;
  }

 private:
  // in_ and out_, over all axes of x_ but the last.
  absl::Status TakeRows() {
    PEFT_RETURN_IF_ERROR(CastInput());
    if (x_.rank() == 0 || x_.dim(x_.rank() - 1) != site_.in_features) {
      return WrongShape(site_, absl::StrCat("[..., ", site_.in_features, "]"),
                        x_);
    }
    std::vector<int64_t> shape(x_.shape().begin(), x_.shape().end());
    shape.back() = site_.out_features;
    PEFT_RETURN_IF_ERROR(AllocateOutput(std::move(shape)));
    const int64_t rows = x_.num_elements() / site_.in_features;
    in_ = {floats_, rows, site_.in_features, site_.in_features};
    out_ = {y_data_, rows, site_.out_features, site_.out_features};
    return absl::OkStatus();
  }

  absl::Status CheckConvolutionInput() const {
    const int axes = site_.conv.num_axes;
    const int channel_axis = x_.rank() - axes - 1;
    if ((channel_axis == 0 || channel_axis == 1) &&
        x_.dim(channel_axis) == site_.conv.in_channels) {
      return absl::OkStatus();
    }
    return WrongShape(site_,
                      absl::StrCat("[batch, ", site_.conv.in_channels, "] and ",
                                   axes, " more axes, or without batch"),
                      x_);
  }

  // x_ becomes F32, and floats_ its aligned elements.
  absl::Status CastInput() {
    if (!IsComputeDType(x_.dtype())) {
      return WrongInput(site_, error_id::kTensorDType, "F32, BF16 or F16",
                        DTypeName(x_.dtype()));
    }
    PEFT_ASSIGN_OR_RETURN(x_, x_.Cast(DType::kF32));
    floats_ = static_cast<const float*>(x_.data());
    if (reinterpret_cast<uintptr_t>(floats_) % alignof(float) == 0) {
      return absl::OkStatus();
    }
    PEFT_RETURN_IF_ERROR(
        aligned_.Reserve(x_.num_elements(), "the input of a layer"));
    std::memcpy(aligned_.data(), x_.data(), x_.size_bytes());
    floats_ = aligned_.data();
    return absl::OkStatus();
  }

  absl::Status TakeIds() {
    if (x_.dtype() != DType::kI64 && x_.dtype() != DType::kI32) {
      return WrongInput(site_, error_id::kTensorDType, "I64 or I32 ids",
                        DTypeName(x_.dtype()));
    }
    ids_.resize(x_.num_elements());
    const auto* from = static_cast<const char*>(x_.data());
    for (int64_t& id : ids_) {
      int32_t narrow = 0;
      const bool wide = x_.dtype() == DType::kI64;
      std::memcpy(wide ? static_cast<void*>(&id) : &narrow, from,
                  DTypeSize(x_.dtype()));
      if (!wide) id = narrow;
      from += DTypeSize(x_.dtype());
      if (id >= 0 && id < site_.in_features) continue;
      return WrongInput(site_, error_id::kTokenOutOfRange,
                        absl::StrCat("ids from 0 to ", site_.in_features - 1),
                        absl::StrCat(id));
    }
    return absl::OkStatus();
  }

  absl::Status AllocateOutput(std::vector<int64_t> shape) {
    void* data = nullptr;
    PEFT_ASSIGN_OR_RETURN(
        y_, Tensor::Allocate(DType::kF32, std::move(shape), &data));
    y_data_ = static_cast<float*>(data);
    return absl::OkStatus();
  }

  const Site& site_;
  const kernels::LinearPlan& plan_;
  Tensor x_;
  kernels::ThreadPool& pool_;
  const float* floats_ = nullptr;
  FloatBuffer aligned_;
  FloatBuffer workspace_;
  std::vector<int64_t> ids_;
  kernels::ConstRows in_;
  kernels::Rows out_;
  Tensor y_;
  float* y_data_ = nullptr;
};

}  // namespace

absl::StatusOr<Tensor> RunLayer(const SiteTable& sites, int index,
                                const Plan& plan, const Tensor& x,
                                kernels::ThreadPool& pool) {
  const Site& site = sites.sites()[index];
  if (HasGates(plan.linear(index))) {
    return Unimplemented(site,
                         "an adapter with alora_invocation_tokens is active, "
                         "which needs the tokens of the whole sequence");
  }
  LayerRun run(site, plan.linear(index), x, pool);
  switch (site.kind) {
    case SiteKind::kNorm:
      if (site.norm_epsilon < 0) {
        return Unimplemented(
            site, "a norm of an opened model cannot be run by itself");
      }
      return run.Norm(plan.norm(index));
    case SiteKind::kEmbedding:
      return run.Embedding();
    case SiteKind::kConvolution:
      return run.Convolution();
    case SiteKind::kLinear:
    case SiteKind::kConv1D:
    case SiteKind::kMultiheadAttention:
    case SiteKind::kParameter:
      return run.Linear();
  }
  return Unimplemented(site, "is of a kind that cannot be run by itself");
}

}  // namespace peft
