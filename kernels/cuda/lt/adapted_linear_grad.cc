#include "kernels/cuda/lt/adapted_linear_grad.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

absl::Status CheckFactorGrads(const AdaptedLinearGradSpec& spec) {
  if (spec.da.data == 0 && spec.db.data == 0) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(CheckShape("da", spec.da, spec.a.rows, spec.a.cols));
  return CheckShape("db", spec.db, spec.b.rows, spec.b.cols);
}

absl::Status CheckInputGrad(const AdaptedLinearGradSpec& spec) {
  if (spec.dx.data == 0) return absl::OkStatus();
  const int64_t in = spec.x.cols;
  const int64_t out = spec.dy.cols;
  PEFT_RETURN_IF_ERROR(CheckShape("dx", spec.dx, spec.x.rows, in));
  if (spec.weight.data == 0) return absl::OkStatus();
  return CheckShape("weight", spec.weight, spec.transposed ? in : out,
                    spec.transposed ? out : in);
}

absl::Status CheckSpec(const AdaptedLinearGradSpec& spec) {
  const int64_t rows = spec.x.rows;
  const int64_t rank = spec.a.rows;
  PEFT_RETURN_IF_ERROR(CheckShape("x", spec.x, rows, spec.x.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("dy", spec.dy, rows, spec.dy.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("t", spec.t, rows, rank));
  PEFT_RETURN_IF_ERROR(CheckShape("dt", spec.dt, rows, rank));
  PEFT_RETURN_IF_ERROR(CheckShape("a", spec.a, rank, spec.x.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("b", spec.b, spec.dy.cols, rank));
  if (spec.scale == 0) return ArgumentError("a gradient has no scale");
  PEFT_RETURN_IF_ERROR(CheckFactorGrads(spec));
  return CheckInputGrad(spec);
}

// dt = s dy B: what comes back to x A^T.
Product ShrinkOf(const AdaptedLinearGradSpec& spec) {
  Product product = ProductOf(spec.dy, spec.b, spec.dt);
  product.scale = GemmScale::kDevice;
  product.scale_data = spec.scale;
  return product;
}

// db = s dy^T t.
Product GradOfB(const AdaptedLinearGradSpec& spec) {
  Product product = ProductOf(spec.dy, spec.t, spec.db);
  product.left_transposed = true;
  product.scale = GemmScale::kDevice;
  product.scale_data = spec.scale;
  product.accumulate = spec.accumulate_factors;
  return product;
}

// da = dt^T x.
Product GradOfA(const AdaptedLinearGradSpec& spec) {
  Product product = ProductOf(spec.dt, spec.x, spec.da);
  product.left_transposed = true;
  product.accumulate = spec.accumulate_factors;
  return product;
}

// dx = dy W.
Product BaseOf(const AdaptedLinearGradSpec& spec) {
  Product product = ProductOf(spec.dy, spec.weight, spec.dx);
  product.right_transposed = spec.transposed;
  product.accumulate = spec.accumulate_dx;
  return product;
}

// dx += dt A.
Product ExpandOf(const AdaptedLinearGradSpec& spec) {
  Product product = ProductOf(spec.dt, spec.a, spec.dx);
  product.accumulate = spec.accumulate_dx || spec.weight.data != 0;
  return product;
}

}  // namespace

absl::StatusOr<AdaptedLinearGrad> AdaptedLinearGrad::Plan(
    PlanCache* cache, const AdaptedLinearGradSpec& spec) {
  AdaptedLinearGrad result;
  PEFT_RETURN_IF_ERROR(CheckSpec(spec));
  Launches* const launches = &result.launches_;
  PEFT_RETURN_IF_ERROR(launches->Add(cache, ShrinkOf(spec)));
  if (spec.da.data != 0) {
    PEFT_RETURN_IF_ERROR(launches->Add(cache, GradOfB(spec)));
    PEFT_RETURN_IF_ERROR(launches->Add(cache, GradOfA(spec)));
  }
  if (spec.dx.data == 0) return result;
  if (spec.weight.data != 0) {
    PEFT_RETURN_IF_ERROR(launches->Add(cache, BaseOf(spec)));
  }
  PEFT_RETURN_IF_ERROR(launches->Add(cache, ExpandOf(spec)));
  return result;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
