#include "kernels/cuda/lt/gemm.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/example_gemm.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using ::testing::HasSubstr;

absl::StatusCode CodeOf(const std::function<void(Gemm*)>& change) {
  Gemm gemm = LinearGemm(8);
  change(&gemm);
  return ValidateGemm(gemm).code();
}

TEST(GemmTest, AcceptsALinearLayer) {
  EXPECT_TRUE(ValidateGemm(LinearGemm(8)).ok());
}

TEST(GemmTest, RefusesSizesOutOfRange) {
  constexpr auto kWrong = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->m = 0; }), kWrong);
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->n = -1; }), kWrong);
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->k = int64_t{1} << 31; }), kWrong);
}

TEST(GemmTest, RefusesRowsThatOverlap) {
  Gemm gemm = LinearGemm(8);
  gemm.right.stride = 63;
  const absl::Status status = ValidateGemm(gemm);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("right"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("64"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("63"));
}

TEST(GemmTest, TheStrideIsThatOfWhatIsStored) {
  Gemm gemm = LinearGemm(8);
  gemm.right.transposed = false;  // now [64, 32]
  gemm.right.stride = 32;
  EXPECT_TRUE(ValidateGemm(gemm).ok());
  gemm.left.transposed = true;  // now [64, 8]
  gemm.left.stride = 8;
  EXPECT_TRUE(ValidateGemm(gemm).ok());
}

TEST(GemmTest, RefusesAlignmentsThatMemoryCannotHave) {
  constexpr auto kWrong = absl::StatusCode::kInvalidArgument;
  for (int64_t alignment : {0, 1, 3, 24, 512}) {
    EXPECT_EQ(CodeOf([=](Gemm* gemm) { gemm->left.alignment = alignment; }),
              kWrong);
  }
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->bias_alignment = 1; }), kWrong);
}

TEST(GemmTest, ResultsMayBeWiderThanFactors) {
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->out.dtype = DType::kF32; }),
            absl::StatusCode::kOk);
}

TEST(GemmTest, NamesDTypesThatCannotBeMultiplied) {
  constexpr auto kUnknown = absl::StatusCode::kUnimplemented;
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->right.dtype = DType::kF16; }),
            kUnknown);
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->out.dtype = DType::kF16; }),
            kUnknown);
  EXPECT_EQ(CodeOf([](Gemm* gemm) { gemm->left.dtype = DType::kF8E4M3; }),
            kUnknown);
}

TEST(GemmTest, AScalePerColumnIsNotAccumulated) {
  Gemm gemm = LinearGemm(8);
  gemm.scale = GemmScale::kDevicePerColumn;
  EXPECT_TRUE(ValidateGemm(gemm).ok());
  gemm.accumulate = true;
  EXPECT_EQ(ValidateGemm(gemm).code(), absl::StatusCode::kInvalidArgument);
}

TEST(GemmTest, EveryFieldIsInTheKey) {
  const std::function<void(Gemm*)> changes[] = {
      [](Gemm* gemm) { ++gemm->m; },
      [](Gemm* gemm) { ++gemm->n; },
      [](Gemm* gemm) { ++gemm->k; },
      [](Gemm* gemm) { gemm->left.dtype = DType::kF16; },
      [](Gemm* gemm) { ++gemm->right.stride; },
      [](Gemm* gemm) { gemm->out.alignment = 2; },
      [](Gemm* gemm) { gemm->left.transposed = true; },
      [](Gemm* gemm) { gemm->scale = GemmScale::kDevice; },
      [](Gemm* gemm) { gemm->accumulate = true; },
      [](Gemm* gemm) { gemm->bias_alignment = 16; },
      [](Gemm* gemm) { gemm->activation = GemmActivation::kRelu; }};
  for (const auto& change : changes) {
    Gemm gemm = LinearGemm(8);
    change(&gemm);
    EXPECT_NE(KeyOf(gemm), KeyOf(LinearGemm(8)));
    Gemm back;
    ASSERT_TRUE(GemmFromKey(KeyOf(gemm), &back));
    EXPECT_EQ(KeyOf(back), KeyOf(gemm));
  }
}

TEST(GemmTest, KeysOfNoGemmAreFound) {
  for (int i = 3; i < kGemmKeySize; ++i) {
    GemmKey key = KeyOf(LinearGemm(8));
    // Larger than a flag, an activation, or 32 bits.
    key[i] = (int64_t{1} << 40) + 7;
    Gemm gemm;
    EXPECT_FALSE(GemmFromKey(key, &gemm) && ValidateGemm(gemm).ok()) << i;
  }
}

TEST(GemmTest, BucketsRoundTheRowsOfABatch) {
  Gemm gemm = LinearGemm(8);
  gemm.m = 33;
  EXPECT_EQ(BucketOf(gemm).m, 64);
  gemm.m = 64;
  EXPECT_EQ(BucketOf(gemm).m, 64);
  gemm.m = 1;
  EXPECT_EQ(BucketOf(gemm).m, 1);
  // The gradient of a weight sums over the rows.
  gemm.left.transposed = true;
  gemm.k = 100;
  EXPECT_EQ(BucketOf(gemm).k, 128);
  EXPECT_EQ(BucketOf(gemm).m, 1);
}

TEST(GemmTest, AlignmentIsThatOfTheAddress) {
  EXPECT_EQ(AlignmentOf(0x1000), 256);
  EXPECT_EQ(AlignmentOf(0x1010), 16);
  EXPECT_EQ(AlignmentOf(0x1002), 2);
  EXPECT_EQ(AlignmentOf(0x1001), 1);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
