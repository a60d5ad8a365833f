#include "kernels/cuda/lt/adapted_linear_grad.h"

#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/on_test_device.h"
#include "kernels/cuda/lt/testing/reference.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kRows = 24;
constexpr int64_t kIn = 64;
constexpr int64_t kOut = 48;
constexpr int64_t kRank = 8;
constexpr float kScale = 0.75f;
// dt is rounded as well as the results.
constexpr int kRoundings = 3;

// Each test runs on the fake, and on a GPU where there is one.
class AdaptedLinearGradTest : public OnTestDevice {
 protected:
  void SetUp() override {
    OnTestDevice::SetUp();
    if (IsSkipped()) return;
    cache_ = std::make_unique<PlanCache>(device()->handle(), LtSettings());
    Make(DType::kBF16, DType::kBF16);
  }

  // All operands; gradients of factors are in `grad_dtype`.
  void Make(DType dtype, DType grad_dtype) {
    dtype_ = dtype;
    dy_ = RandomMatrix(device(), dtype, kRows, kOut, 8, 1);
    x_ = RandomMatrix(device(), dtype, kRows, kIn, 0, 2);
    t_ = RandomMatrix(device(), dtype, kRows, kRank, 0, 3);
    a_ = RandomMatrix(device(), dtype, kRank, kIn, 0, 4);
    b_ = RandomMatrix(device(), dtype, kOut, kRank, 0, 5);
    weight_ = RandomMatrix(device(), dtype, kOut, kIn, 0, 6);
    dt_ = NanMatrix(device(), dtype, kRows, kRank, 0);
    da_ = NanMatrix(device(), grad_dtype, kRank, kIn, 0);
    db_ = NanMatrix(device(), grad_dtype, kOut, kRank, 0);
    dx_ = NanMatrix(device(), dtype, kRows, kIn, 8);
    spec_.dy = dy_.device;
    spec_.x = x_.device;
    spec_.t = t_.device;
    spec_.a = a_.device;
    spec_.b = b_.device;
    spec_.scale = PutFloats(device(), {kScale});
    spec_.dt = dt_.device;
    spec_.da = da_.device;
    spec_.db = db_.device;
    spec_.dx = dx_.device;
    spec_.weight = weight_.device;
  }

  // What is added to each gradient.
  Exact Dt() const {
    return Plus(Exact(kRows, kRank), Times(ExactOf(dy_), ExactOf(b_)), kScale);
  }
  Exact GradA() const { return Times(Transposed(Dt()), ExactOf(x_)); }
  Exact GradB() const {
    return Plus(Exact(kOut, kRank),
                Times(Transposed(ExactOf(dy_)), ExactOf(t_)), kScale);
  }
  Exact GradX() const {
    return Plus(Times(ExactOf(dy_), ExactOf(weight_)),
                Times(Dt(), ExactOf(a_)));
  }

  void Run(int launches) {
    const auto grad = AdaptedLinearGrad::Plan(cache_.get(), spec_);
    ASSERT_TRUE(grad.ok()) << grad.status();
    EXPECT_EQ(grad->num_launches(), launches);
    const absl::Status status = grad->Run(device()->stream());
    ASSERT_TRUE(status.ok()) << status;
  }

  void ExpectGradient(TestMatrix* found, const Exact& expected) {
    ExpectNear(device(), found, expected, ToleranceOf(dtype_, kRoundings));
  }

  std::unique_ptr<PlanCache> cache_;
  DType dtype_ = DType::kBF16;
  TestMatrix dy_, x_, t_, a_, b_, weight_, dt_, da_, db_, dx_;
  AdaptedLinearGradSpec spec_;
};

TEST_P(AdaptedLinearGradTest, AllGradientsTakeFiveLaunches) {
  const std::pair<DType, DType> dtypes[] = {{DType::kF32, DType::kF32},
                                            {DType::kF16, DType::kF16},
                                            {DType::kBF16, DType::kBF16},
                                            {DType::kBF16, DType::kF32}};
  for (const auto& dtype : dtypes) {
    SCOPED_TRACE(DTypeName(dtype.first));
    Make(dtype.first, dtype.second);
    Run(5);
    ExpectGradient(&da_, GradA());
    ExpectGradient(&db_, GradB());
    ExpectGradient(&dx_, GradX());
  }
}

TEST_P(AdaptedLinearGradTest, AddsToWhatWasAccumulated) {
  da_ = RandomMatrix(device(), DType::kF32, kRank, kIn, 0, 11);
  db_ = RandomMatrix(device(), DType::kF32, kOut, kRank, 0, 12);
  dx_ = RandomMatrix(device(), dtype_, kRows, kIn, 0, 13);
  spec_.da = da_.device;
  spec_.db = db_.device;
  spec_.dx = dx_.device;
  spec_.accumulate_factors = true;
  spec_.accumulate_dx = true;
  const Exact da = Plus(ExactOf(da_), GradA());
  const Exact db = Plus(ExactOf(db_), GradB());
  const Exact dx = Plus(ExactOf(dx_), GradX());
  Run(5);
  ExpectGradient(&da_, da);
  ExpectGradient(&db_, db);
  ExpectGradient(&dx_, dx);
}

TEST_P(AdaptedLinearGradTest, AConv1DsWeightIsTransposed) {
  weight_ = RandomMatrix(device(), dtype_, kIn, kOut, 0, 6);
  spec_.weight = weight_.device;
  spec_.transposed = true;
  Run(5);
  const Exact base = Times(ExactOf(dy_), Transposed(ExactOf(weight_)));
  ExpectGradient(&dx_, Plus(base, Times(Dt(), ExactOf(a_))));
}

TEST_P(AdaptedLinearGradTest, WithoutAWeightOnlyTheAdaptersPart) {
  spec_.weight = {};
  Run(4);
  ExpectGradient(&dx_, Times(Dt(), ExactOf(a_)));
}

TEST_P(AdaptedLinearGradTest, WhatNobodyWantsIsNotComputed) {
  spec_.dx = {};
  Run(3);
  ExpectGradient(&da_, GradA());
  spec_.da = {};
  spec_.db = {};
  spec_.dx = dx_.device;
  Run(3);
  ExpectGradient(&dx_, GradX());
}

TEST_P(AdaptedLinearGradTest, RefusesShapesThatDoNotFit) {
  using Spec = AdaptedLinearGradSpec;
  for (DeviceMatrix Spec::*matrix :
       {&Spec::dy, &Spec::x, &Spec::t, &Spec::a, &Spec::b, &Spec::dt, &Spec::da,
        &Spec::db, &Spec::dx, &Spec::weight}) {
    Spec spec = spec_;
    --(spec.*matrix).rows;
    EXPECT_EQ(AdaptedLinearGrad::Plan(cache_.get(), spec).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AdaptedLinearGradTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Gpu" : "Fake";
                         });

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
