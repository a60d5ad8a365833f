#include "peft_cc/methods/ia3.h"

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Shape = std::vector<int64_t>;

Layer Linear(const std::string& name, SiteKind kind = SiteKind::kLinear) {
  return {name, kind, 3, 2, Tensor()};
}

absl::StatusOr<std::unique_ptr<Method>> Make(
    std::optional<ModuleSelector> feedforward, std::vector<Layer> layers,
    const std::string& model_type = "llama") {
  AdapterConfig config;
  config.ia3.emplace();
  config.ia3->feedforward_modules = std::move(feedforward);
  std::vector<std::string> notes;
  return MakeIa3(config, model_type, std::move(layers), &notes);
}

Tensor MakeTensor(std::vector<int64_t> shape, std::vector<float> values) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  std::memcpy(data, values.data(), values.size() * sizeof(float));
  return tensor;
}

TEST(Ia3Test, NamesOfFeedforwardNeedNoDot) {
  const auto method = *Make(ModuleSelector{false, "", {"proj"}},
                            {Linear("m.down_proj"), Linear("m.k")});
  EXPECT_EQ((*method->Tensors(0))[0].shape, (Shape{1, 3}));
  EXPECT_EQ((*method->Tensors(1))[0].shape, (Shape{2, 1}));
}

TEST(Ia3Test, ARegexOfFeedforwardMatchesTheWholeName) {
  const auto method = *Make(ModuleSelector{true, "down_proj", {}},
                            {Linear("m.down_proj"), Linear("down_proj")});
  EXPECT_EQ((*method->Tensors(0))[0].shape, (Shape{2, 1}));
  EXPECT_EQ((*method->Tensors(1))[0].shape, (Shape{1, 3}));
}

TEST(Ia3Test, FeedforwardHasDefaults) {
  const auto method = *Make(std::nullopt, {Linear("m.down_proj")});
  EXPECT_EQ((*method->Tensors(0))[0].shape, (Shape{1, 3}));
  EXPECT_EQ(ErrorId(Make(std::nullopt, {Linear("m.q")}, "phi3").status()),
            error_id::kAdapterConfig);
}

TEST(Ia3Test, ScalesOutputsWithTheirBiasOrInputs) {
  const auto method = *Make(ModuleSelector{false, "", {"down"}},
                            {Linear("k", SiteKind::kConv1D), Linear("down")});
  const SiteProgram out =
      *method->Lower(0, {{"ia3_l", MakeTensor({2, 1}, {2, 3})}}, {});
  EXPECT_EQ(std::get<ScaleOut>(out.at(0)).factor, (std::vector<float>{2, 3}));
  EXPECT_TRUE(std::get<ScaleOut>(out.at(0)).with_bias);
  const SiteProgram in =
      *method->Lower(1, {{"ia3_l", MakeTensor({1, 3}, {2, 3, 4})}}, {});
  EXPECT_EQ(std::get<ScaleIn>(in.at(0)).factor, (std::vector<float>{2, 3, 4}));
}

Layer Conv(const std::string& name, int num_axes) {
  Layer layer = {name, SiteKind::kConvolution, 8, 6, Tensor()};
  layer.conv.num_axes = num_axes;
  layer.conv.in_channels = 4;
  layer.conv.out_channels = 6;
  layer.conv.groups = 2;
  layer.conv.kernel = {1, 1, 2};
  return layer;
}

TEST(Ia3Test, AConvolutionHasANumberForEachChannel) {
  const auto method = *Make(ModuleSelector{false, "", {"down"}},
                            {Conv("k", 2), Conv("down", 3)});
  EXPECT_EQ((*method->Tensors(0))[0].shape, (Shape{1, 6, 1, 1}));
  EXPECT_EQ((*method->Tensors(1))[0].shape, (Shape{1, 4, 1, 1, 1}));
}

TEST(Ia3Test, AConvolutionScalesOutputsWithTheirBiasOrAllColumnsOfAnInput) {
  const auto method = *Make(ModuleSelector{false, "", {"down"}},
                            {Conv("k", 2), Conv("down", 2)});
  const std::vector<float> six = {2, 3, 4, 5, 6, 7};
  const SiteProgram out =
      *method->Lower(0, {{"ia3_l", MakeTensor({1, 6, 1, 1}, six)}}, {});
  EXPECT_EQ(std::get<ScaleOut>(out.at(0)).factor, six);
  EXPECT_TRUE(std::get<ScaleOut>(out.at(0)).with_bias);
  const SiteProgram in = *method->Lower(
      1, {{"ia3_l", MakeTensor({1, 4, 1, 1}, {2, 3, 4, 5})}}, {});
  EXPECT_EQ(std::get<ScaleIn>(in.at(0)).factor,
            (std::vector<float>{2, 3, 4, 5}));
  EXPECT_EQ(std::get<ScaleIn>(in.at(0)).repeat, 2);
}

TEST(Ia3Test, AConv1dIsRefused) {
  const auto method = *Make(std::nullopt, {Conv("k", 1)});
  EXPECT_EQ(ErrorId(method->Tensors(0).status()), error_id::kAdapterConfig);
}

TEST(Ia3Test, AMissingVectorChangesNothing) {
  const auto method = *Make(std::nullopt, {Linear("k")});
  EXPECT_TRUE(method->Lower(0, {}, {})->empty());
}

}  // namespace
}  // namespace peft
