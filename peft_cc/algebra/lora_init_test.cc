// Errors and properties; lora_init_oracle_test.py compares with PEFT.
#include "peft_cc/algebra/lora_init.h"

#include <algorithm>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr LinearLoraShape kShape = {6, 5, 2, false};

Tensor Weight(std::vector<int64_t> shape) {
  return *MakeF32Tensor(std::move(shape), [](absl::Span<float> out) {
    TorchGenerator(5).Normal(0, 1, out);
  });
}

std::string FailureId(const char* init, const LinearLoraShape& shape,
                      double scale, const Tensor& weight) {
  TorchGenerator generator(0);
  return ErrorId(
      InitLinearLora(*ParseLoraInit(init), shape, scale, weight, generator)
          .status());
}

TEST(LoraInitTest, NamesOfPeftAreParsed) {
  EXPECT_EQ(ParseLoraInit("true")->kind, LoraInitKind::kDefault);
  EXPECT_EQ(ParseLoraInit("mica")->kind, LoraInitKind::kMica);
  const LoraInit niter = *ParseLoraInit("pissa_niter_16");
  EXPECT_EQ(niter.kind, LoraInitKind::kPissaNiter);
  EXPECT_EQ(niter.num_iterations, 16);
}

TEST(LoraInitTest, UnknownNamesAreRefused) {
  for (const char* name :
       {"", "True", "pissa_niter_", "pissa_niter_-1", "pissa_niter_4x",
        "pissa_niter_1001", "pissa_niter_99999999999", "other"}) {
    EXPECT_EQ(ErrorId(ParseLoraInit(name).status()), error_id::kAdapterConfig)
        << name;
  }
}

TEST(LoraInitTest, InitialisersThatNeedDataAreRefusedByName) {
  for (const char* name : {"eva", "corda", "loftq", "lora_ga"}) {
    EXPECT_EQ(ErrorId(ParseLoraInit(name).status()),
              error_id::kAdapterFeatureUnsupported);
  }
}

TEST(LoraInitTest, RanksThatAKindCannotHaveAreRefused) {
  const Tensor w = Weight({5, 6});
  EXPECT_EQ(FailureId("true", {6, 5, 0}, 1, w), error_id::kArgument);
  EXPECT_EQ(FailureId("orthogonal", {6, 5, 3}, 1, w), error_id::kArgument);
  for (const char* init : {"pissa_niter_2", "mica"}) {
    EXPECT_EQ(FailureId(init, {6, 5, 6}, 1, w), error_id::kArgument) << init;
  }
}

TEST(LoraInitTest, SlicedKindsHaveNoMoreRanksThanTheWeight) {
  const Tensor w = Weight({5, 6});
  for (const char* name : {"olora", "pissa"}) {
    TorchGenerator generator(1);
    const auto fresh =
        InitLinearLora(*ParseLoraInit(name), {6, 5, 9}, 1, w, generator);
    ASSERT_TRUE(fresh.ok()) << fresh.status();
    EXPECT_EQ(fresh->factors.a.dim(0), 5) << name;
    EXPECT_EQ(fresh->factors.b.dim(1), 5) << name;
  }
}

TEST(LoraInitTest, ExpertsAreStackedAndOnlyDrawn) {
  const LinearLoraShape shape = {6, 5, 2, false, 3};
  TorchGenerator generator(1);
  const auto fresh =
      InitLinearLora(*ParseLoraInit("gaussian"), shape, 1, {}, generator);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ(fresh->factors.a.dim(0), 6);
  EXPECT_EQ(fresh->factors.b.dim(1), 6);
  EXPECT_EQ(FailureId("orthogonal", shape, 1, {}), error_id::kArgument);
}

TEST(LoraInitTest, AWeightOfAnotherShapeIsRefused) {
  EXPECT_EQ(FailureId("pissa", kShape, 1, Weight({6, 5})), error_id::kArgument);
}

TEST(LoraInitTest, AWeightThatIsNotFiniteIsRefused) {
  const Tensor w = *MakeF32Tensor({5, 6}, [](absl::Span<float> out) {
    out[3] = std::numeric_limits<float>::quiet_NaN();
  });
  for (const char* init : {"olora", "pissa", "pissa_niter_2", "mica"}) {
    EXPECT_EQ(FailureId(init, kShape, 1, w), error_id::kArgument) << init;
  }
}

TEST(LoraInitTest, PissaNeedsAPositiveScale) {
  EXPECT_EQ(FailureId("pissa", kShape, 0, Weight({5, 6})), error_id::kArgument);
  EXPECT_EQ(FailureId("pissa", kShape, -1, Weight({5, 6})),
            error_id::kArgument);
}

TEST(LoraInitTest, KindsThatDoNotReadTheWeightNeedNone) {
  TorchGenerator generator(0);
  for (const char* init : {"true", "false", "gaussian", "orthogonal"}) {
    EXPECT_TRUE(
        InitLinearLora(*ParseLoraInit(init), kShape, 1, Tensor(), generator)
            .ok())
        << init;
  }
}

TEST(LoraInitTest, AWeightInBf16IsReadAsItsF32Values) {
  const Tensor bf16 = *Weight({5, 6}).Cast(DType::kBF16);
  TorchGenerator first(1), second(1);
  const LoraInit init = *ParseLoraInit("pissa");
  const FreshLora a = *InitLinearLora(init, kShape, 1, bf16, first);
  const FreshLora b =
      *InitLinearLora(init, kShape, 1, *bf16.Cast(DType::kF32), second);
  EXPECT_EQ(a.factors.a.ToF32(), b.factors.a.ToF32());
}

TEST(LoraInitTest, ConvolutionsHavePlainKindsAndRanksOfWholeGroups) {
  TorchGenerator generator(0);
  ConvLoraShape shape = {4, 4, {3}, 2, 3};
  EXPECT_EQ(ErrorId(InitConvLora({}, shape, generator).status()),
            error_id::kArgument);
  shape.r = 4;
  EXPECT_TRUE(InitConvLora({}, shape, generator).ok());
  EXPECT_EQ(
      ErrorId(InitConvLora(*ParseLoraInit("pissa"), shape, generator).status()),
      error_id::kArgument);
}

TEST(LoraInitTest, KasaLeavesSomethingOfTheWeight) {
  TorchGenerator generator(0);
  EXPECT_EQ(
      ErrorId(InitKasa({}, {6, 5, 5}, 1, Weight({5, 6}), generator).status()),
      error_id::kArgument);
}

TEST(LoraInitTest, AdaLoraMayHaveRank0) {
  TorchGenerator generator(0);
  const AdaLoraFactors factors = *InitAdaLora(6, 5, 0, true, generator);
  EXPECT_EQ(factors.a.dim(0), 0);
  EXPECT_EQ(factors.b.dim(1), 0);
}

}  // namespace
}  // namespace peft
