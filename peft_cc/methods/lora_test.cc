#include "peft_cc/methods/lora.h"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Tensor MakeTensor(std::vector<int64_t> shape, std::vector<float> values) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  std::memcpy(data, values.data(), values.size() * sizeof(float));
  return tensor;
}

Layer Linear(int64_t in, int64_t out) {
  return {"m", SiteKind::kLinear, in, out, Tensor()};
}
Layer Embedding(int64_t rows, int64_t width) {
  return {"m", SiteKind::kEmbedding, rows, width, Tensor()};
}

std::vector<std::string> PartsOf(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> parts;
  for (const TensorSpec& spec : specs) parts.push_back(spec.part);
  return parts;
}

TEST(LoraScaleTest, IsAlphaOverRank) {
  EXPECT_FLOAT_EQ(*LoraScale(LoraConfig(), {4, 6}), 1.5f);
}

TEST(LoraScaleTest, IsAlphaOverRootOfRankWithRslora) {
  LoraConfig config;
  config.use_rslora = true;
  EXPECT_FLOAT_EQ(*LoraScale(config, {2, 3}), 3.0f / std::sqrt(2.0f));
}

TEST(LoraScaleTest, RefusesAnOverflow) {
  const auto scale = LoraScale(LoraConfig(), {1, 1e300});
  EXPECT_EQ(ErrorId(scale.status()), error_id::kAdapterConfig);
  EXPECT_EQ(GetErrorDetails(scale.status()).tensor, "lora_alpha");
}

TEST(LoraTensorSpecsTest, LinearHasFactors) {
  const auto specs = *LoraTensorSpecs(LoraConfig(), {3, 8}, Linear(5, 7));
  EXPECT_EQ(PartsOf(specs),
            (std::vector<std::string>{"lora_A.weight", "lora_B.weight"}));
  EXPECT_EQ(specs[0].shape, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(specs[1].shape, (std::vector<int64_t>{7, 3}));
}

TEST(LoraTensorSpecsTest, LoraBiasAddsABias) {
  LoraConfig config;
  config.lora_bias = true;
  const auto specs = *LoraTensorSpecs(config, {3, 8}, Linear(5, 7));
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[2].part, "lora_B.bias");
  EXPECT_EQ(specs[2].shape, std::vector<int64_t>{7});
}

TEST(LoraTensorSpecsTest, EmbeddingHasItsOwnNames) {
  const auto specs = *LoraTensorSpecs(LoraConfig(), {3, 8}, Embedding(11, 7));
  EXPECT_EQ(PartsOf(specs),
            (std::vector<std::string>{"lora_embedding_A", "lora_embedding_B"}));
  EXPECT_EQ(specs[0].shape, (std::vector<int64_t>{3, 11}));
  EXPECT_EQ(specs[1].shape, (std::vector<int64_t>{7, 3}));
}

TEST(LoraTensorSpecsTest, InitsFromTheWeightHaveNoMoreRowsThanItsSmallerSide) {
  for (const auto init : {BaseChangingInit::kOlora, BaseChangingInit::kPissa}) {
    LoraConfig config;
    config.init = init;
    const auto wide = *LoraTensorSpecs(config, {8, 8}, Linear(5, 3));
    EXPECT_EQ(wide[0].shape, (std::vector<int64_t>{3, 5}));
    EXPECT_EQ(wide[1].shape, (std::vector<int64_t>{3, 3}));
    const auto tall = *LoraTensorSpecs(config, {8, 8}, Linear(3, 5));
    EXPECT_EQ(tall[0].shape, (std::vector<int64_t>{3, 3}));
    const auto table = *LoraTensorSpecs(config, {8, 8}, Embedding(5, 3));
    EXPECT_EQ(table[0].shape, (std::vector<int64_t>{8, 5}));
  }
}

TEST(LoraTensorSpecsTest, RefusesLoraBiasOnAnEmbedding) {
  LoraConfig config;
  config.lora_bias = true;
  const auto specs = LoraTensorSpecs(config, {3, 8}, Embedding(11, 7));
  EXPECT_EQ(ErrorId(specs.status()), error_id::kAdapterConfig);
  EXPECT_EQ(GetErrorDetails(specs.status()).tensor, "lora_bias");
}

TEST(LowerLoraTest, KeepsTheFactorsAndTheScale) {
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 2})},
                                {"lora_B.weight", MakeTensor({2, 1}, {3, 4})}};
  const SiteProgram program =
      *LowerLora(LoraConfig(), {1, 8}, Linear(2, 2), tensors);
  ASSERT_EQ(program.size(), 1u);
  const LowRank& form = std::get<LowRank>(program[0]);
  EXPECT_EQ(form.a.data(), tensors.at("lora_A.weight").data());
  EXPECT_EQ(form.b.data(), tensors.at("lora_B.weight").data());
  EXPECT_EQ(form.scale, 8.0f);
}

TEST(LowerLoraTest, ScalesTheBiasOfB) {
  LoraConfig config;
  config.lora_bias = true;
  const LayerTensors tensors = {
      {"lora_A.weight", MakeTensor({2, 1}, {1, 2})},
      {"lora_B.bias", MakeTensor({2}, {1, -2})},
      {"lora_B.weight", MakeTensor({2, 2}, {3, 4, 5, 6})}};
  const SiteProgram program = *LowerLora(config, {2, 1}, Linear(1, 2), tensors);
  ASSERT_EQ(program.size(), 2u);
  EXPECT_EQ(std::get<Bias>(program[1]).delta, (std::vector<float>{0.5f, -1}));
}

TEST(LowerLoraTest, AMissingFactorActsAsZero) {
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 2})}};
  EXPECT_TRUE(LowerLora(LoraConfig(), {1, 8}, Linear(2, 2), tensors)->empty());
}

LoraConfig DoraConfig() {
  LoraConfig config;
  config.use_dora = true;
  return config;
}

Layer WithWeight() {
  Layer layer = Linear(2, 1);
  layer.weight = MakeTensor({1, 2}, {3, 4});
  return layer;
}

TEST(LoraTensorSpecsTest, DoraAddsAMagnitude) {
  const auto specs = *LoraTensorSpecs(DoraConfig(), {3, 8}, Linear(5, 7));
  EXPECT_EQ(specs.back().part, "lora_magnitude_vector");
  EXPECT_EQ(specs.back().shape, std::vector<int64_t>{7});
}

Layer OfKind(SiteKind kind, int64_t groups = 1) {
  Layer layer{"m", kind, 18, 4, Tensor()};
  if (kind != SiteKind::kConvolution) return layer;
  layer.conv.num_axes = 2;
  layer.conv.kernel = {1, 3, 3};
  layer.conv.groups = groups;
  layer.conv.in_channels = 2;
  return layer;
}

TEST(LoraTensorSpecsTest, RefusesDoraWhereAWeightIsNoPlainMatrix) {
  for (const Layer& layer :
       {OfKind(SiteKind::kMultiheadAttention), OfKind(SiteKind::kParameter),
        OfKind(SiteKind::kConvolution, 2)}) {
    const auto specs = LoraTensorSpecs(DoraConfig(), {4, 8}, layer).status();
    EXPECT_EQ(ErrorId(specs), error_id::kAdapterConfig);
    EXPECT_EQ(GetErrorDetails(specs).tensor, "use_dora");
  }
  EXPECT_TRUE(
      LoraTensorSpecs(DoraConfig(), {4, 8}, OfKind(SiteKind::kConvolution, 1))
          .ok());
}

TEST(LoraTensorSpecsTest, RefusesInitsFromTheWeightWhereItIsNoMatrix) {
  for (const auto init : {BaseChangingInit::kOlora, BaseChangingInit::kPissa}) {
    LoraConfig config;
    config.init = init;
    for (const SiteKind kind : {SiteKind::kMultiheadAttention,
                                SiteKind::kParameter, SiteKind::kConvolution}) {
      const auto specs = LoraTensorSpecs(config, {4, 8}, OfKind(kind)).status();
      EXPECT_EQ(ErrorId(specs), error_id::kAdapterConfig);
      EXPECT_EQ(GetErrorDetails(specs).tensor, "init_lora_weights");
    }
  }
}

TEST(LoraTensorSpecsTest, RefusesAloraOnAnEmbedding) {
  LoraConfig config;
  config.alora_invocation_tokens = {1};
  EXPECT_EQ(ErrorId(LoraTensorSpecs(config, {3, 8}, Embedding(11, 7)).status()),
            error_id::kAdapterConfig);
}

TEST(LowerLoraTest, DoraRescalesAfterTheFactors) {
  const LayerTensors tensors = {
      {"lora_A.weight", MakeTensor({1, 2}, {1, 0})},
      {"lora_B.weight", MakeTensor({1, 1}, {2})},
      {"lora_magnitude_vector", MakeTensor({1}, {7})}};
  const SiteProgram program =
      *LowerLora(DoraConfig(), {1, 8}, WithWeight(), tensors);
  ASSERT_EQ(program.size(), 2u);
  const auto& form = std::get<MagnitudeScale>(program[1]);
  EXPECT_EQ(form.magnitude, std::vector<float>{7});
  EXPECT_EQ(form.scale, 8.0f);
  EXPECT_DOUBLE_EQ(form.norm0[0], 25);
  EXPECT_DOUBLE_EQ(form.norm1[0], 6);
  EXPECT_DOUBLE_EQ(form.norm2[0], 4);
}

TEST(LowerLoraTest, AMissingMagnitudeIsTheNormOfTheWeight) {
  const SiteProgram program =
      *LowerLora(DoraConfig(), {1, 8}, WithWeight(), {});
  EXPECT_EQ(std::get<MagnitudeScale>(program.at(0)).magnitude,
            std::vector<float>{5});
}

TEST(LowerLoraTest, AlphaIsDividedByTheRankOfTheConfigEvenWhereItHasNone) {
  LoraConfig config;
  config.init = BaseChangingInit::kOlora;
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 2})},
                                {"lora_B.weight", MakeTensor({1, 1}, {3})}};
  const SiteProgram program = *LowerLora(config, {4, 8}, WithWeight(), tensors);
  ASSERT_EQ(program.size(), 2u);
  EXPECT_EQ(std::get<LowRank>(program[0]).a.dim(0), 1);
  EXPECT_EQ(std::get<LowRank>(program[0]).scale, -2.0f);
  EXPECT_EQ(std::get<LowRank>(program[1]).scale, 2.0f);
}

// OLoRA takes 2 W of this weight away.
TEST(LowerLoraTest, DoraDividesByTheNormOfWhatTheInitLeft) {
  LoraConfig config = DoraConfig();
  config.init = BaseChangingInit::kOlora;
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 0})},
                                {"lora_B.weight", MakeTensor({1, 1}, {2})}};
  const SiteProgram program = *LowerLora(config, {1, 2}, WithWeight(), tensors);
  ASSERT_EQ(program.size(), 3u);
  const auto& form = std::get<MagnitudeScale>(program[2]);
  EXPECT_EQ(form.magnitude, std::vector<float>{5});
  EXPECT_NEAR(form.norm0[0], 25, 1e-4);
  EXPECT_NEAR(form.norm1[0], -6, 1e-4);
  EXPECT_DOUBLE_EQ(form.norm2[0], 4);
}

TEST(LowerLoraTest, AWeightThatTheInitHasChangedIsNotChangedAgain) {
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 0})},
                                {"lora_B.weight", MakeTensor({1, 1}, {2})}};
  Layer layer = WithWeight();
  layer.is_after_init = true;
  for (const BaseChangingInit init :
       {BaseChangingInit::kPissa, BaseChangingInit::kOlora,
        BaseChangingInit::kOwnFactors}) {
    LoraConfig config;
    config.init = init;
    const SiteProgram program = *LowerLora(config, {1, 2}, layer, tensors);
    ASSERT_EQ(program.size(), 1u);
    EXPECT_EQ(std::get<LowRank>(program[0]).scale, 2.0f);
  }
}

TEST(LoraTensorSpecsTest, AloraWithABiasIsRefused) {
  LoraConfig config;
  config.alora_invocation_tokens = {5, 6};
  config.lora_bias = true;
  EXPECT_EQ(ErrorId(LoraTensorSpecs(config, {1, 8}, Linear(2, 2)).status()),
            error_id::kAdapterFeatureUnsupported);
}

TEST(LowerLoraTest, DoraNeedsTheWeight) {
  EXPECT_EQ(ErrorId(LowerLora(DoraConfig(), {1, 8}, Linear(2, 1), {}).status()),
            error_id::kAdapterFeatureUnsupported);
}

TEST(LowerLoraTest, AloraOpensAtItsTokens) {
  LoraConfig config;
  config.alora_invocation_tokens = {5, 6};
  const LayerTensors tensors = {{"lora_A.weight", MakeTensor({1, 2}, {1, 2})},
                                {"lora_B.weight", MakeTensor({2, 1}, {3, 4})}};
  const SiteProgram program = *LowerLora(config, {1, 8}, Linear(2, 2), tensors);
  EXPECT_EQ(*std::get<LowRank>(program.at(0)).gate,
            (std::vector<int64_t>{5, 6}));
}

}  // namespace
}  // namespace peft
