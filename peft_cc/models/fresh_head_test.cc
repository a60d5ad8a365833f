#include "peft_cc/models/fresh_head.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

constexpr int64_t kEmbeddingSize = 32 * 16;

ModelConfig ConfigWithRange(double range) {
  ModelConfig config;
  config.initializer_range = range;
  return config;
}

WeightInfo Weight(const char* name, std::vector<int64_t> shape) {
  WeightInfo weight;
  weight.name = name;
  weight.shape = std::move(shape);
  return weight;
}

TEST(FreshHeadTest, WeightsAreOfTheHeadWhereTheyAreOutsideTheBareModel) {
  Description description;
  description.bare_prefix = "bert.";
  for (const char* name : {"classifier.weight", "cls.predictions.decoder.bias",
                           "qa_outputs.bias", "bert.pooler.dense.weight"}) {
    EXPECT_TRUE(IsOfHead(description, Weight(name, {1}))) << name;
  }
  for (const char* name :
       {"bert.embeddings.word_embeddings.weight", "bert.poolers.weight"}) {
    EXPECT_FALSE(IsOfHead(description, Weight(name, {1}))) << name;
  }
  description.bare_prefix = "";
  EXPECT_FALSE(IsOfHead(description, Weight("layers.0.weight", {1})));
}

// torch.manual_seed(0); torch.empty(5, 4).normal_(0, 0.5), its first row.
TEST(FreshHeadTest, MatricesHaveTheNumbersOfTorch) {
  FreshHead head(ConfigWithRange(0.5), DType::kF32, kEmbeddingSize);
  const auto weight =
      head.Make(Weight("score.weight", {5, 4}), SiteKind::kLinear);
  ASSERT_TRUE(weight.ok()) << weight.status();
  const std::vector<float> values = weight->ToF32();
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 4),
            (std::vector<float>{-0.562919915f, -0.5761801f, -0.125289291f,
                                -0.216939405f}));
}

TEST(FreshHeadTest, TheSecondMatrixHasTheNumbersAfterTheFirst) {
  FreshHead head(ConfigWithRange(0.02), DType::kF32, kEmbeddingSize);
  const auto first = head.Make(Weight("a.weight", {4, 4}), SiteKind::kLinear);
  const auto second = head.Make(Weight("b.weight", {4, 4}), SiteKind::kLinear);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->ToF32(), second->ToF32());
}

TEST(FreshHeadTest, BiasesAreZeroAndNormsOne) {
  FreshHead head(ConfigWithRange(0.02), DType::kBF16, kEmbeddingSize);
  const auto bias = head.Make(Weight("score.bias", {3}), SiteKind::kLinear);
  const auto norm = head.Make(Weight("norm.weight", {3}), SiteKind::kNorm);
  const auto shift = head.Make(Weight("norm.bias", {3}), SiteKind::kNorm);
  ASSERT_TRUE(bias.ok() && norm.ok() && shift.ok());
  EXPECT_EQ(bias->dtype(), DType::kBF16);
  EXPECT_EQ(bias->ToF32(), std::vector<float>({0, 0, 0}));
  EXPECT_EQ(norm->ToF32(), std::vector<float>({1, 1, 1}));
  EXPECT_EQ(shift->ToF32(), std::vector<float>({0, 0, 0}));
}

TEST(FreshHeadTest, AConfigAloneDoesNotTakeAllMemory) {
  constexpr int64_t kLargest = int64_t{1} << 26;
  FreshHead head(ConfigWithRange(0.02), DType::kF32, kEmbeddingSize);
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{kLargest / 16 + 1, 16},
        std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40}}) {
    EXPECT_TRUE(IsError(
        head.Make(Weight("score.weight", shape), SiteKind::kLinear).status(),
        absl::StatusCode::kInvalidArgument, "MODEL_CONFIG",
        "at most 67108864 elements"));
  }
}

}  // namespace
}  // namespace peft
