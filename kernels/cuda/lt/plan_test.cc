#include "kernels/cuda/lt/plan.h"

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/on_test_device.h"
#include "kernels/cuda/lt/testing/reference.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using ::testing::HasSubstr;

// Each test runs on the fake, and on a GPU where there is one.
class GemmPlanTest : public OnTestDevice {
 protected:
  // The plan of the library's first choice.
  absl::StatusOr<GemmPlan> Plan(const Gemm& gemm,
                                const LtSettings& settings = {}) {
    PEFT_ASSIGN_OR_RETURN(const auto descriptors,
                          DescribeGemm(device()->library(), gemm, settings));
    PEFT_ASSIGN_OR_RETURN(const auto candidates,
                          FindCandidates(device()->handle(), descriptors, 1));
    return GemmPlan(device()->handle(), gemm, descriptors, candidates[0]);
  }

  // Makes the operands of a product, `gap` elements behind each row.
  void Make(int64_t m, int64_t n, int64_t k, DType in, DType out,
            bool left_transposed, bool right_transposed, int64_t gap) {
    left_ = RandomMatrix(device(), in, left_transposed ? k : m,
                         left_transposed ? m : k, gap, 1);
    right_ = RandomMatrix(device(), in, right_transposed ? n : k,
                          right_transposed ? k : n, gap, 2);
    out_ = NanMatrix(device(), out, m, n, gap);
    gemm_.m = m;
    gemm_.n = n;
    gemm_.k = k;
    gemm_.left = GemmMatrixOf(left_.device, left_transposed);
    gemm_.right = GemmMatrixOf(right_.device, right_transposed);
    gemm_.out = GemmMatrixOf(out_.device, false);
    pointers_.left = left_.device.data;
    pointers_.right = right_.device.data;
    pointers_.out = out_.device.data;
  }

  // left right, in double.
  Exact Product() const {
    const Exact left = ExactOf(left_);
    const Exact right = ExactOf(right_);
    return Times(gemm_.left.transposed ? Transposed(left) : left,
                 gemm_.right.transposed ? Transposed(right) : right);
  }

  // Runs gemm_ and compares.
  void ExpectResult(const Exact& expected, const LtSettings& settings = {}) {
    const auto plan = Plan(gemm_, settings);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const absl::Status status = plan->Run(device()->stream(), pointers_);
    ASSERT_TRUE(status.ok()) << status;
    ExpectNear(device(), &out_, expected, ToleranceOf(out_.device.dtype, 2));
  }

  TestMatrix left_;
  TestMatrix right_;
  TestMatrix out_;
  Gemm gemm_;
  GemmPointers pointers_;
};

TEST_P(GemmPlanTest, MultipliesInEveryDTypeAndLayout) {
  const std::pair<DType, DType> dtypes[] = {{DType::kF32, DType::kF32},
                                            {DType::kF16, DType::kF16},
                                            {DType::kBF16, DType::kBF16},
                                            {DType::kBF16, DType::kF32},
                                            {DType::kF16, DType::kF32}};
  for (const auto& dtype : dtypes) {
    for (bool left : {false, true}) {
      for (bool right : {false, true}) {
        SCOPED_TRACE(::testing::Message() << DTypeName(dtype.first) << " -> "
                                          << DTypeName(dtype.second) << " left "
                                          << left << " right " << right);
        Make(5, 24, 40, dtype.first, dtype.second, left, right, 8);
        ExpectResult(Product());
      }
    }
  }
}

TEST_P(GemmPlanTest, OddSizesAndAddresses) {
  Make(3, 7, 5, DType::kBF16, DType::kBF16, false, true, 1);
  ExpectResult(Product());
}

TEST_P(GemmPlanTest, AddsTheBiasOfEachColumn) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  const TestMatrix bias = RandomMatrix(device(), DType::kBF16, 1, 16, 0, 3);
  gemm_.bias_alignment = AlignmentOf(bias.device.data);
  pointers_.bias = bias.device.data;
  Exact expected = Product();
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t col = 0; col < 16; ++col) {
      expected.at(row, col) += bias.at(0, col);
    }
  }
  ExpectResult(expected);
}

TEST_P(GemmPlanTest, ActivationsComeLast) {
  for (GemmActivation activation :
       {GemmActivation::kRelu, GemmActivation::kGeluTanh}) {
    Make(4, 16, 8, DType::kF16, DType::kF16, false, true, 0);
    out_ = RandomMatrix(device(), DType::kF16, 4, 16, 0, 4);
    pointers_.out = out_.device.data;
    gemm_.accumulate = true;
    gemm_.activation = activation;
    ExpectResult(Activated(Plus(Product(), ExactOf(out_)), activation));
  }
}

TEST_P(GemmPlanTest, AccumulatesWithAScaleFromDeviceMemory) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  out_ = RandomMatrix(device(), DType::kBF16, 4, 16, 0, 4);
  pointers_.out = out_.device.data;
  pointers_.scale = PutFloats(device(), {0.25f});
  gemm_.scale = GemmScale::kDevice;
  gemm_.accumulate = true;
  ExpectResult(Plus(ExactOf(out_), Product(), 0.25));
}

TEST_P(GemmPlanTest, WhatIsOverwrittenIsNotRead) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  pointers_.scale = PutFloats(device(), {2.0f});
  gemm_.scale = GemmScale::kDevice;
  ExpectResult(Plus(Exact(4, 16), Product(), 2));
}

TEST_P(GemmPlanTest, ScalesEachColumn) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  std::vector<float> scales;
  for (int i = 0; i < 16; ++i) scales.push_back(0.125f * i);
  pointers_.scale = PutFloats(device(), scales);
  gemm_.scale = GemmScale::kDevicePerColumn;
  const auto plan = Plan(gemm_);
  if (absl::IsUnimplemented(plan.status()) && device()->fake() == nullptr) {
    GTEST_SKIP() << "this GPU has no scale per column: " << plan.status();
  }
  Exact expected = Product();
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t col = 0; col < 16; ++col) {
      expected.at(row, col) *= scales[col];
    }
  }
  ExpectResult(expected);
}

TEST_P(GemmPlanTest, DeterministicSumsAreNotSplit) {
  Make(2, 8, 1024, DType::kBF16, DType::kBF16, false, true, 0);
  LtSettings settings;
  settings.deterministic = true;
  const auto plan = Plan(gemm_, settings);
  ASSERT_TRUE(plan.ok()) << plan.status();
  constexpr int kScheme = static_cast<int>(LtAlgoAttribute::kReductionScheme);
  EXPECT_EQ(plan->Config().value()[kScheme], kLtReductionNone);
  ExpectResult(Product(), settings);
}

TEST_P(GemmPlanTest, AnAlgorithmCanBeWrittenDown) {
  Make(2, 16, 1024, DType::kBF16, DType::kBF16, false, true, 0);
  const auto plan = Plan(gemm_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto config = plan->Config();
  ASSERT_TRUE(config.ok()) << config.status();
  const auto descriptors = DescribeGemm(device()->library(), gemm_, {});
  const auto again =
      CandidateOf(device()->handle(), *descriptors, LtSettings(), *config);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->workspace_bytes, plan->workspace_bytes());
  EXPECT_EQ(ConfigOf(device()->library(), again->algo).value(), *config);
}

INSTANTIATE_TEST_SUITE_P(Devices, GemmPlanTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Gpu" : "Fake";
                         });

// What only the fake shows.
class FakeGemmPlanTest : public GemmPlanTest {};

TEST_P(FakeGemmPlanTest, UsesTheWorkspaceThatItAsksFor) {
  Make(2, 16, 1024, DType::kBF16, DType::kBF16, false, true, 0);
  const auto plan = Plan(gemm_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(plan->workspace_bytes(), 0);
  LtSettings settings;
  settings.workspace_bytes = 0;
  EXPECT_EQ(Plan(gemm_, settings)->workspace_bytes(), 0);
}

TEST_P(FakeGemmPlanTest, DeterministicResultsDoNotDependOnTheWorkspace) {
  Make(2, 16, 1000, DType::kF32, DType::kF32, false, true, 0);
  std::vector<float> results[2];
  for (int i = 0; i < 2; ++i) {
    LtSettings settings;
    settings.deterministic = true;
    settings.workspace_bytes = i << 20;
    ExpectResult(Product(), settings);
    results[i] = out_.values;
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST_P(FakeGemmPlanTest, RefusesAWorkspaceThatIsTooSmall) {
  Make(2, 16, 1024, DType::kBF16, DType::kBF16, false, true, 0);
  const auto plan = Plan(gemm_);
  LtStream stream = device()->stream();
  stream.workspace_bytes = plan->workspace_bytes() - 1;
  const absl::Status status = plan->Run(stream, pointers_);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("workspace"));
}

TEST_P(FakeGemmPlanTest, RefusesOperandsThatAreLessAlignedThanPlanned) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  const auto plan = Plan(gemm_);
  for (DevicePtr GemmPointers::*operand :
       {&GemmPointers::left, &GemmPointers::right, &GemmPointers::out}) {
    for (DevicePtr wrong : {DevicePtr{0}, pointers_.*operand + 2}) {
      GemmPointers pointers = pointers_;
      pointers.*operand = wrong;
      EXPECT_EQ(plan->Run(device()->stream(), pointers).code(),
                absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST_P(FakeGemmPlanTest, RefusesABiasThatWasNotPlanned) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  pointers_.bias = left_.device.data;
  EXPECT_EQ(Plan(gemm_)->Run(device()->stream(), pointers_).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(FakeGemmPlanTest, TheFakeCatchesAWrongLeadingDimension) {
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  auto descriptors = DescribeGemm(device()->library(), gemm_, {}).value();
  const int64_t ld = 7;  // of columns of 8
  device()->library()->cublasLtMatrixLayoutSetAttribute(
      &descriptors.b, LtLayoutAttribute::kLd, &ld, sizeof(ld));
  EXPECT_FALSE(FindCandidates(device()->handle(), descriptors, 1).ok());
  EXPECT_THAT(device()->fake()->reason(), HasSubstr("leading dimension"));
}

TEST_P(FakeGemmPlanTest, TheFakeCatchesTwoStreamsOnOneWorkspace) {
  Make(2, 16, 1024, DType::kBF16, DType::kBF16, false, true, 0);
  const auto plan = Plan(gemm_);
  LtStream stream = device()->stream();
  ASSERT_TRUE(plan->Run(stream, pointers_).ok());
  stream.stream = reinterpret_cast<StreamHandle>(0x10);
  EXPECT_FALSE(plan->Run(stream, pointers_).ok());
  EXPECT_THAT(device()->fake()->reason(), HasSubstr("share a workspace"));
}

TEST_P(FakeGemmPlanTest, TheFakeCatchesAResultThatOverlapsAFactor) {
  Make(4, 8, 8, DType::kBF16, DType::kBF16, false, true, 0);
  pointers_.out = pointers_.left;
  EXPECT_FALSE(Plan(gemm_)->Run(device()->stream(), pointers_).ok());
  EXPECT_THAT(device()->fake()->reason(), HasSubstr("overlaps"));
}

TEST_P(FakeGemmPlanTest, Tf32IsForF32Alone) {
  LtSettings settings;
  settings.allow_tf32 = true;
  Make(4, 16, 8, DType::kF32, DType::kF32, false, true, 0);
  EXPECT_EQ(DescribeGemm(device()->library(), gemm_, settings)->compute,
            LtCompute::kF32FastTf32);
  Make(4, 16, 8, DType::kBF16, DType::kBF16, false, true, 0);
  EXPECT_EQ(DescribeGemm(device()->library(), gemm_, settings)->compute,
            LtCompute::kF32);
}

INSTANTIATE_TEST_SUITE_P(Fake, FakeGemmPlanTest, ::testing::Values(false));

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
