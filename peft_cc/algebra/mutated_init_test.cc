// weighted_lora_oracle_test.py compares with what PEFT saves.
#include "peft_cc/algebra/mutated_init.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

LoraFactors Filled(int64_t r, float a, float b) {
  const auto fill = [](float value) {
    return [value](absl::Span<float> out) {
      std::fill(out.begin(), out.end(), value);
    };
  };
  return {*MakeF32Tensor({r, 2}, fill(a)), *MakeF32Tensor({3, r}, fill(b))};
}

TEST(MutatedInitTest, InitialFactorsAreStackedNegated) {
  const LoraFactors converted =
      *SubtractInitialFactors(Filled(1, 1, 2), Filled(1, 3, 4));
  EXPECT_EQ(converted.a.ToF32(), (std::vector<float>{1, 1, 3, 3}));
  EXPECT_EQ(converted.b.ToF32(), (std::vector<float>{2, -4, 2, -4, 2, -4}));
}

TEST(MutatedInitTest, TheInitialRankMayBeAnotherOne) {
  const LoraFactors converted =
      *SubtractInitialFactors(Filled(3, 1, 2), Filled(1, 3, 4));
  EXPECT_EQ(converted.a.dim(0), 4);
  EXPECT_EQ(converted.b.dim(1), 4);
}

TEST(MutatedInitTest, ABiasOfBIsKept) {
  LoraFactors trained = Filled(1, 1, 2);
  trained.b_bias = *MakeF32Zeros({3});
  EXPECT_TRUE(
      SubtractInitialFactors(trained, Filled(1, 3, 4))->b_bias.has_value());
}

TEST(MutatedInitTest, FactorsOfAnotherLayerAreRefused) {
  LoraFactors other = Filled(1, 3, 4);
  other.a = *MakeF32Zeros({1, 5});
  EXPECT_EQ(ErrorId(SubtractInitialFactors(Filled(1, 1, 2), other).status()),
            error_id::kArgument);
}

TEST(MutatedInitTest, TheScaleStaysTheSame) {
  const ConvertedConfig plain = ConvertConfig(4, 6, false);
  EXPECT_EQ(plain.r, 8);
  EXPECT_DOUBLE_EQ(plain.lora_alpha / plain.r, 6.0 / 4);
  const ConvertedConfig rslora = ConvertConfig(4, 6, true);
  EXPECT_DOUBLE_EQ(rslora.lora_alpha / std::sqrt(rslora.r), 6 / std::sqrt(4.0));
}

}  // namespace
}  // namespace peft
