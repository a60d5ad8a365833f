#include "benchmarks/cuda/lt_side.h"

#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::AdaptedLinear;
using kernels::cuda::AdaptedLinearGrad;
using kernels::cuda::AdaptedOutput;
using kernels::cuda::DeviceMatrix;
using kernels::cuda::Gemm;
using kernels::cuda::GemmPlan;
using kernels::cuda::StreamHandle;

// What the first candidates lose to is seldom far down the list.
constexpr int kCandidates = 8;

}  // namespace

absl::StatusOr<std::unique_ptr<LtSide>> LtSide::Create(
    const CudaBench& bench, const LayerInputs& inputs, Work work) {
  auto side = absl::WrapUnique(new LtSide(bench, inputs));
  PEFT_RETURN_IF_ERROR(side->MakeSpec(work));
  if (work == Work::kTraining) PEFT_RETURN_IF_ERROR(side->MakeGradSpec());
  PEFT_RETURN_IF_ERROR(side->Plan());
  if (!bench.tune) return side;
  PEFT_RETURN_IF_ERROR(side->Tune());
  PEFT_RETURN_IF_ERROR(side->Plan());
  return side;
}

absl::Status LtSide::MakeSpec(Work work) {
  const LayerShape& shape = inputs_.shape();
  spec_.x = inputs_.x().device;
  for (int i = 0; i < shape.num_outputs(); ++i) {
    AdaptedOutput output;
    output.weight = inputs_.weight(i).device;
    PEFT_ASSIGN_OR_RETURN(output.y,
                          memory_.Matrix(bench_, shape.rows, shape.outs[i]));
    spec_.outputs.push_back(output);
  }
  return work == Work::kBase ? absl::OkStatus() : AddAdapters();
}

absl::Status LtSide::AddAdapters() {
  const LayerShape& shape = inputs_.shape();
  spec_.a = inputs_.a().device;
  PEFT_ASSIGN_OR_RETURN(spec_.t,
                        memory_.Matrix(bench_, shape.rows, shape.ranks()));
  PEFT_ASSIGN_OR_RETURN(
      spec_.rank_scales,
      memory_.Upload(bench_, std::vector<float>(shape.ranks(), kScale)));
  for (int i = 0; i < shape.num_outputs(); ++i) {
    spec_.groups.push_back({shape.rank});
    spec_.outputs[i].first_group = i;
    spec_.outputs[i].num_groups = 1;
    spec_.outputs[i].b = inputs_.b(0, i).device;
  }
  return absl::OkStatus();
}

absl::Status LtSide::MakeGradSpec() {
  const LayerShape& shape = inputs_.shape();
  const int64_t out = shape.outs[0];
  const auto matrix = [this](int64_t rows, int64_t cols) {
    return memory_.Matrix(bench_, rows, cols);
  };
  grad_spec_.dy = inputs_.dy().device;
  grad_spec_.x = spec_.x;
  grad_spec_.t = spec_.t;
  grad_spec_.a = spec_.a;
  grad_spec_.b = spec_.outputs[0].b;
  grad_spec_.scale = spec_.rank_scales;
  grad_spec_.weight = spec_.outputs[0].weight;
  PEFT_ASSIGN_OR_RETURN(grad_spec_.dt, matrix(shape.rows, shape.rank));
  PEFT_ASSIGN_OR_RETURN(grad_spec_.da, matrix(shape.rank, shape.in));
  PEFT_ASSIGN_OR_RETURN(grad_spec_.db, matrix(out, shape.rank));
  PEFT_ASSIGN_OR_RETURN(grad_spec_.dx, matrix(shape.rows, shape.in));
  has_backward_ = true;
  return absl::OkStatus();
}

absl::Status LtSide::Plan() {
  PEFT_ASSIGN_OR_RETURN(forward_, AdaptedLinear::Plan(&bench_.cache, spec_));
  if (!has_backward_) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(backward_,
                        AdaptedLinearGrad::Plan(&bench_.cache, grad_spec_));
  return absl::OkStatus();
}

absl::Status LtSide::Tune() {
  std::vector<Gemm> gemms = forward_.gemms();
  for (const Gemm& gemm : backward_.gemms()) gemms.push_back(gemm);
  for (const Gemm& gemm : gemms) {
    if (bench_.cache.tuned().count(KeyOf(BucketOf(gemm))) > 0) continue;
    PEFT_RETURN_IF_ERROR(bench_.cache.Tune(
        gemm, kCandidates,
        [this](const GemmPlan& plan) { return bench_.timer.TimePlan(plan); }));
  }
  return absl::OkStatus();
}

absl::Status LtSide::Run() {
  PEFT_RETURN_IF_ERROR(forward_.Run(bench_.timer.stream()));
  return backward_.Run(bench_.timer.stream());
}

StreamHandle LtSide::stream() const { return bench_.timer.stream().stream; }

absl::StatusOr<float> LtSide::At(Computed what, int output, int64_t row,
                                 int64_t col) {
  const DeviceMatrix* matrix = &y(output);
  if (what == Computed::kDa) matrix = &grad_spec_.da;
  if (what == Computed::kDb) matrix = &grad_spec_.db;
  if (what == Computed::kDx) matrix = &grad_spec_.dx;
  return ReadNumber(bench_, *matrix, row, col);
}

}  // namespace peft
