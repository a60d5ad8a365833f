#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

// A (2, 3) linear layer with a bias.
struct Linear {
  float weight[6] = {1, 2, 3, 4, 5, 6};
  float bias[2] = {10, 20};
  int64_t sizes[2] = {2, 3};
  peft_tensor_view_t weight_view = PEFT_TENSOR_VIEW_INIT;
  peft_tensor_view_t bias_view = PEFT_TENSOR_VIEW_INIT;

  Linear() {
    weight_view.data = weight;
    bias_view.data = bias;
    weight_view.dtype = bias_view.dtype = PEFT_DTYPE_F32;
    weight_view.rank = 2;
    bias_view.rank = 1;
    weight_view.sizes = bias_view.sizes = sizes;
  }

  peft_layer_t Layer(const char* name = "fc") const {
    peft_layer_t layer = PEFT_LAYER_INIT;
    layer.name = name;
    layer.kind = PEFT_LAYER_LINEAR;
    layer.weight = &weight_view;
    layer.bias = &bias_view;
    return layer;
  }
};

Outcome Create(const peft_layer_t* layers, size_t num_layers,
               OwnedModel* out = nullptr) {
  auto* model = reinterpret_cast<peft_model_t*>(0xdead);
  const Outcome outcome =
      Take(peft_model_create(layers, num_layers, nullptr, &model));
  if (out != nullptr) {
    out->reset(model);
  } else {
    peft_model_free(model);
  }
  EXPECT_TRUE(outcome.ok() || model == nullptr);
  return outcome;
}

// The elements of what layer `name` computes from three floats.
std::vector<float> Output(const peft_model_t* model, const char* name,
                          const float* x) {
  const int64_t size = 3;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = x;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = 1;
  view.sizes = &size;
  peft_tensor_t* y = nullptr;
  EXPECT_PEFT_OK(peft_model_run_layer(model, name, &view, nullptr, &y));
  const OwnedTensor owned(y);
  peft_tensor_view_t result = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_OK(peft_tensor_get_view(y, &result));
  const auto* const values = static_cast<const float*>(result.data);
  return std::vector<float>(values, values + result.sizes[0]);
}

const float kOnes[] = {1, 1, 1};

TEST(HostModel, RunsALayer) {
  const Linear linear;
  const peft_layer_t layer = linear.Layer();
  OwnedModel model;
  ASSERT_TRUE(Create(&layer, 1, &model).ok());
  EXPECT_EQ(Output(model.get(), "fc", kOnes), (std::vector<float>{16, 35}));
}

TEST(HostModel, WeightsAreCopiedUnlessAskedOtherwise) {
  Linear linear;
  peft_layer_t layers[] = {linear.Layer("a"), linear.Layer("b")};
  layers[1].copy_weights = 0;
  OwnedModel model;
  ASSERT_TRUE(Create(layers, 2, &model).ok());
  linear.weight[0] = 101;
  EXPECT_EQ(Output(model.get(), "a", kOnes)[0], 16);
  EXPECT_EQ(Output(model.get(), "b", kOnes)[0], 116);
}

// Of a new adapter on "a".
OwnedStateDict StateDictOfAdapterThatSavesB(peft_model_t* model) {
  EXPECT_PEFT_OK(
      peft_model_add_adapter(model, "x",
                             R"({"peft_type": "LORA", "target_modules": ["a"],
          "modules_to_save": ["b"]})",
                             nullptr));
  peft_state_dict_t* dict = nullptr;
  EXPECT_PEFT_OK(peft_model_get_adapter_state_dict(model, "x", &dict));
  return OwnedStateDict(dict);
}

// What a tensor handle stands for has memory of its own, though a saved module
// begins as the program's.
TEST(HostModel, TensorsOutliveBorrowedWeights) {
  auto linear = std::make_unique<Linear>();
  peft_layer_t layers[] = {linear->Layer("a"), linear->Layer("b")};
  layers[1].copy_weights = 0;
  OwnedModel model;
  ASSERT_TRUE(Create(layers, 2, &model).ok());
  const OwnedStateDict dict = StateDictOfAdapterThatSavesB(model.get());
  ASSERT_NE(dict, nullptr);
  model.reset();
  const float first = linear->weight[0];
  linear.reset();
  peft_tensor_t* tensor = nullptr;
  EXPECT_PEFT_OK(peft_state_dict_get(dict.get(), "b.weight", &tensor));
  const OwnedTensor owned(tensor);
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_OK(peft_tensor_get_view(tensor, &view));
  EXPECT_EQ(*static_cast<const float*>(view.data), first);
}

TEST(HostModel, InfoCountsTheLayers) {
  const Linear linear;
  const peft_layer_t layer = linear.Layer();
  OwnedModel model;
  ASSERT_TRUE(Create(&layer, 1, &model).ok());
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  ASSERT_PEFT_OK(peft_model_get_info(model.get(), &info));
  EXPECT_STREQ(info.model_type, "");
  EXPECT_EQ(info.num_sites, 1);
  EXPECT_EQ(info.num_parameters, 8);
  EXPECT_EQ(info.size_bytes, 32);
  EXPECT_EQ(info.vocab_size, 0);
}

TEST(HostModel, SessionsAreRefused) {
  OwnedModel model;
  ASSERT_TRUE(Create(nullptr, 0, &model).ok());
  peft_session_t* session = nullptr;
  EXPECT_PEFT_ERROR(peft_session_create(model.get(), nullptr, &session),
                    PEFT_FAILED_PRECONDITION, "MODEL_NOT_RUNNABLE");
}

TEST(HostModel, UnknownLayersAreNamed) {
  OwnedModel model;
  ASSERT_TRUE(Create(nullptr, 0, &model).ok());
  const peft_tensor_view_t x = PEFT_TENSOR_VIEW_INIT;
  peft_tensor_t* y = nullptr;
  EXPECT_PEFT_ERROR(peft_model_run_layer(model.get(), "fc", &x, nullptr, &y),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  peft_tensor_view_t scalar = x;
  scalar.data = kOnes;
  scalar.dtype = PEFT_DTYPE_F32;
  EXPECT_PEFT_ERROR(
      peft_model_run_layer(model.get(), "fc", &scalar, nullptr, &y),
      PEFT_NOT_FOUND, "LAYER_NOT_FOUND");
}

TEST(HostModel, FieldsThatAreWrongAreNamed) {
  const Linear linear;
  peft_layer_t layers[] = {linear.Layer("a"), linear.Layer("b")};
  layers[1].kind = 0;
  EXPECT_EQ(Create(layers, 2).subject, "layers[1].kind");
  layers[1] = linear.Layer(nullptr);
  EXPECT_EQ(Create(layers, 2).id, "UTF8");
  layers[1] = linear.Layer("b");
  layers[1].copy_weights = 2;
  EXPECT_EQ(Create(layers, 2).subject, "layers[1].copy_weights");
  layers[1] = linear.Layer("b");
  layers[1].weight = nullptr;
  EXPECT_EQ(Create(layers, 2).id, "ARGUMENT");
  layers[1].weight = &linear.bias_view;
  EXPECT_EQ(Create(layers, 2).subject, "b");
  EXPECT_EQ(Create(layers, ~size_t{0}).id, "ARGUMENT");
}

// The (2, 3) weight of 1 to 6 and its strides in memory that is not copied.
struct Borrowed {
  std::vector<float> memory;
  std::array<int64_t, 2> strides;
};

class BorrowedWeights : public testing::TestWithParam<Borrowed> {};

TEST_P(BorrowedWeights, AreReadWhereTheyAre) {
  std::vector<float> memory = GetParam().memory;
  Linear linear;
  linear.weight_view.data = memory.data();
  linear.weight_view.strides = GetParam().strides.data();
  peft_layer_t layer = linear.Layer();
  layer.copy_weights = 0;
  OwnedModel model;
  ASSERT_TRUE(Create(&layer, 1, &model).ok());
  EXPECT_EQ(Output(model.get(), "fc", kOnes), (std::vector<float>{16, 35}));
  memory[0] = 101;
  EXPECT_EQ(Output(model.get(), "fc", kOnes)[0], 116);
}

INSTANTIATE_TEST_SUITE_P(
    Strides, BorrowedWeights,
    testing::Values(Borrowed{{1, 2, 3, 4, 5, 6}, {3, 1}},
                    Borrowed{{1, 2, 3, -1, -1, 4, 5, 6}, {5, 1}},
                    Borrowed{{1, 4, 2, 5, 3, 6}, {1, 2}},
                    Borrowed{{1, 4, -1, 2, 5, -1, 3, 6}, {1, 3}}));

TEST(HostModel, StridesThatBorrowedWeightsCannotHaveAreRefused) {
  Linear linear;
  peft_layer_t layer = linear.Layer();
  for (const std::array<int64_t, 2>& strides :
       {std::array<int64_t, 2>{0, 1}, {3, -1}, {2, 1}, {1, 1}, {6, 2}}) {
    linear.weight_view.strides = strides.data();
    layer.copy_weights = 0;
    EXPECT_EQ(Create(&layer, 1).subject, "fc") << strides[0];
  }
  const int64_t bias_stride = 2;
  linear.weight_view.strides = nullptr;
  linear.bias_view.strides = &bias_stride;
  EXPECT_EQ(Create(&layer, 1).subject, "layers[0].bias.strides");
}

TEST(HostModel, StridesBeyondTheAddressSpaceAreRefused) {
  Linear linear;
  const int64_t strides[] = {std::numeric_limits<int64_t>::max() / 2, 1};
  linear.weight_view.strides = strides;
  peft_layer_t layer = linear.Layer();
  layer.copy_weights = 0;
  EXPECT_EQ(Create(&layer, 1).subject, "layers[0].weight.strides[0]");
}

// Of a new adapter on rows that lie apart: the numbers are those of the weight,
// one behind the other.
TEST(HostModel, WhatIsSavedOfBorrowedRowsIsContiguous) {
  const Borrowed borrowed = {{1, 2, 3, -1, -1, 4, 5, 6}, {5, 1}};
  Linear linear;
  peft_layer_t layers[] = {linear.Layer("a"), linear.Layer("b")};
  peft_tensor_view_t view = linear.weight_view;
  view.data = borrowed.memory.data();
  view.strides = borrowed.strides.data();
  layers[1].weight = &view;
  layers[1].copy_weights = 0;
  OwnedModel model;
  ASSERT_TRUE(Create(layers, 2, &model).ok());
  const OwnedStateDict dict = StateDictOfAdapterThatSavesB(model.get());
  ASSERT_NE(dict, nullptr);
  peft_tensor_t* tensor = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_get(dict.get(), "b.weight", &tensor));
  const OwnedTensor owned(tensor);
  peft_tensor_view_t saved = PEFT_TENSOR_VIEW_INIT;
  ASSERT_PEFT_OK(peft_tensor_get_view(tensor, &saved));
  const auto* const values = static_cast<const float*>(saved.data);
  EXPECT_EQ(std::vector<float>(values, values + 6),
            (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

// A program of the future, whose layers are larger.
TEST(HostModel, LayersLieStructSizeApart) {
  const Linear linear;
  std::vector<char> bytes(2 * (sizeof(peft_layer_t) + 16), 0);
  for (int i = 0; i < 2; ++i) {
    peft_layer_t layer = linear.Layer(i == 0 ? "a" : "b");
    layer.struct_size = sizeof(layer) + 16;
    std::memcpy(bytes.data() + i * layer.struct_size, &layer, sizeof(layer));
  }
  const auto* layers = reinterpret_cast<const peft_layer_t*>(bytes.data());
  OwnedModel model;
  ASSERT_TRUE(Create(layers, 2, &model).ok());
  EXPECT_EQ(Output(model.get(), "b", kOnes)[0], 16);
}

TEST(HostModel, LayersOfSeveralSizesAreRefused) {
  const Linear linear;
  peft_layer_t layers[] = {linear.Layer("a"), linear.Layer("b")};
  layers[1].struct_size += 8;
  EXPECT_EQ(Create(layers, 2).subject, "layers[1].struct_size");
  layers[0].struct_size += 1;
  EXPECT_EQ(Create(layers, 1).subject, "layers[0].struct_size");
}

TEST(HostModel, AStreamIsRefusedWhereThereIsNone) {
  const Linear linear;
  const peft_layer_t layer = linear.Layer();
  OwnedModel model;
  ASSERT_TRUE(Create(&layer, 1, &model).ok());
  peft_run_layer_options_t options = PEFT_RUN_LAYER_OPTIONS_INIT;
  options.stream = &options;
  peft_tensor_t* y = nullptr;
  const Outcome outcome = Take(peft_model_run_layer(
      model.get(), "fc", &linear.weight_view, &options, &y));
  EXPECT_EQ(outcome.subject, "options.stream");
  EXPECT_EQ(y, nullptr);
}

TEST(HostModel, InitWritesTheDefaults) {
  peft_layer_t layer;
  peft_layer_init(&layer, sizeof(layer));
  EXPECT_EQ(layer.copy_weights, 1);
  EXPECT_EQ(layer.stride[2], 1);
  EXPECT_EQ(layer.padding_end[0], -1);
  EXPECT_EQ(layer.groups, 1);
  peft_run_layer_options_t options;
  peft_run_layer_options_init(&options, sizeof(options));
  EXPECT_EQ(options.expert, -1);
}

}  // namespace
}  // namespace peft
