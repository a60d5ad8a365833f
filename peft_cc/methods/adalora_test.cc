#include "peft_cc/methods/adalora.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Shape = std::vector<int64_t>;

AdapterConfig Config(int64_t init_r, double alpha) {
  AdapterConfig config;
  config.adalora.emplace();
  config.adalora->init_r = init_r;
  config.adalora->lora_alpha = alpha;
  return config;
}

absl::StatusOr<std::unique_ptr<Method>> Make(const AdapterConfig& config) {
  std::vector<std::string> notes;
  return MakeAdaLora(config, "llama",
                     {{"m.q", SiteKind::kLinear, 3, 4, Tensor()},
                      {"m.v", SiteKind::kLinear, 3, 4, Tensor()}},
                     &notes);
}

Tensor MakeTensor(std::vector<int64_t> shape, std::vector<float> values) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  if (!values.empty()) {
    std::memcpy(data, values.data(), values.size() * sizeof(float));
  }
  return tensor;
}

LayerTensors Tensors(int64_t rank) {
  return {{"lora_A", MakeTensor({rank, 3}, {})},
          {"lora_B", MakeTensor({4, rank}, {})},
          {"lora_E", MakeTensor({rank, 1}, std::vector<float>(rank, 5))}};
}

float ScaleOf(const AdapterConfig& config, int64_t rank) {
  const SiteProgram program = *(*Make(config))->Lower(0, Tensors(rank), {});
  return std::get<LowRank>(program.at(0)).scale;
}

TEST(AdaLoraTest, ShapesFollowTheRanksThatAreLeft) {
  AdapterConfig config = Config(6, 1);
  config.adalora->ranks = {{"m.q", 2}};
  const auto method = *Make(config);
  const auto q = *method->Tensors(0);
  EXPECT_EQ(q[0].part, "lora_A");
  EXPECT_EQ(q[0].shape, (Shape{2, 3}));
  EXPECT_EQ(q[1].shape, (Shape{4, 2}));
  EXPECT_EQ(q[2].shape, (Shape{2, 1}));
  EXPECT_EQ((*method->Tensors(1))[0].shape, (Shape{6, 3}));
}

TEST(AdaLoraTest, TheScaleIsOfTheInitialRank) {
  AdapterConfig config = Config(6, 3);
  config.adalora->ranks = {{"m.q", 2}};
  EXPECT_FLOAT_EQ(ScaleOf(config, 2), static_cast<float>(3 / (6 + 1e-5)));
}

TEST(AdaLoraTest, WithoutAlphaTheScaleIsAboutOne) {
  EXPECT_FLOAT_EQ(ScaleOf(Config(6, 0), 6), static_cast<float>(6 / (6 + 1e-5)));
  EXPECT_FLOAT_EQ(ScaleOf(Config(6, -2), 6),
                  static_cast<float>(6 / (6 + 1e-5)));
}

TEST(AdaLoraTest, EScalesEachRank) {
  const SiteProgram program = *(*Make(Config(2, 1)))->Lower(0, Tensors(2), {});
  EXPECT_EQ(std::get<LowRank>(program.at(0)).rank_scale,
            (std::vector<float>{5, 5}));
}

TEST(AdaLoraTest, RankZeroKeepsItsPlaceAndMissingTensorsDoNot) {
  AdapterConfig config = Config(2, 1);
  config.adalora->ranks = {{"m.q", 0}};
  const auto method = *Make(config);
  const SiteProgram program = *method->Lower(0, Tensors(0), {});
  EXPECT_EQ(std::get<LowRank>(program.at(0)).a.dim(0), 0);
  LayerTensors without_e = Tensors(2);
  without_e.erase("lora_E");
  EXPECT_TRUE(method->Lower(1, without_e, {})->empty());
}

absl::StatusOr<std::vector<TensorSpec>> ConvTensors(int num_axes, int groups) {
  Layer layer = {"m", SiteKind::kConvolution, 18, 4, Tensor()};
  layer.conv.num_axes = num_axes;
  layer.conv.in_channels = 2;
  layer.conv.out_channels = 4;
  layer.conv.groups = groups;
  layer.conv.kernel = {1, 3, 3};
  std::vector<std::string> notes;
  return (*MakeAdaLora(Config(6, 1), "llama", {layer}, &notes))->Tensors(0);
}

TEST(AdaLoraTest, AConv2dHasFactorsOverItsColumns) {
  const auto specs = *ConvTensors(2, 1);
  EXPECT_EQ(specs[0].shape, (Shape{6, 18}));
  EXPECT_EQ(specs[1].shape, (Shape{4, 6}));
  EXPECT_EQ(specs[2].shape, (Shape{6, 1}));
}

TEST(AdaLoraTest, OtherConvolutionsAndGroupsAreRefused) {
  for (const auto& [num_axes, groups] : {std::pair(1, 1), {3, 1}, {2, 2}}) {
    EXPECT_EQ(ErrorId(ConvTensors(num_axes, groups).status()),
              error_id::kAdapterConfig);
  }
}

TEST(AdaLoraTest, APatternOfNoTargetIsRefused) {
  AdapterConfig config = Config(2, 1);
  config.adalora->ranks = {{"m.x", 1}};
  EXPECT_EQ(ErrorId(Make(config).status()), error_id::kAdapterConfig);
}

}  // namespace
}  // namespace peft
