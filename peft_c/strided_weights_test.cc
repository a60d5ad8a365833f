// Merges into weights of a program that lie between other numbers.

#include <array>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/host_model_test_util.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

// A (2, 3) linear layer that merges may write to, in memory that is not its
// own.
struct WritableLayer {
  WritableLayer(const char* name, const float* first,
                std::array<int64_t, 2> its_strides)
      : strides(its_strides), weight(first, {2, 3}) {
    weight.view.strides = strides.data();
    layer.name = name;
    layer.kind = PEFT_LAYER_LINEAR;
    layer.weight = &weight.view;
    layer.copy_weights = 0;
    layer.writable_weights = 1;
  }

  std::array<int64_t, 2> strides;
  FloatView weight;
  peft_layer_t layer = PEFT_LAYER_INIT;
};

// A model of them, with LoadLora(..., 1): it adds 1 to the first row of "fc"
// and 2 to the second.
OwnedModel ModelOf(const std::vector<peft_layer_t>& layers) {
  peft_model_t* model = nullptr;
  EXPECT_PEFT_OK(
      peft_model_create(layers.data(), layers.size(), nullptr, &model));
  EXPECT_TRUE(LoadLora(model, "a", 1).ok());
  return OwnedModel(model);
}

void MergeAndBack(peft_model_t* model, std::vector<float>& memory,
                  const std::vector<float>& merged) {
  const std::vector<float> before = memory;
  ASSERT_PEFT_OK(peft_model_merge_adapter(model, nullptr, 0, nullptr));
  EXPECT_EQ(memory, merged);
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model));
  EXPECT_EQ(memory, before);
}

TEST(StridedWeights, MergesLeaveTheRowsOfAnotherLayer) {
  std::vector<float> memory = {1, 2, 3, 10, 20, 30, -1,  //
                               4, 5, 6, 40, 50, 60, -1};
  const WritableLayer layer("fc", memory.data(), {7, 1});
  const WritableLayer other("other", memory.data() + 3, {7, 1});
  const OwnedModel model = ModelOf({layer.layer, other.layer});
  MergeAndBack(model.get(), memory,
               {2, 3, 4, 10, 20, 30, -1, 6, 7, 8, 40, 50, 60, -1});
}

TEST(StridedWeights, MergesLeaveWhatLiesBetweenColumns) {
  std::vector<float> memory = {1, 4, -1, 2, 5, -1, 3, 6, -1};
  const WritableLayer layer("fc", memory.data(), {1, 3});
  const OwnedModel model = ModelOf({layer.layer});
  MergeAndBack(model.get(), memory, {2, 6, -1, 3, 7, -1, 4, 8, -1});
}

TEST(StridedWeights, LayersThatShareElementsAreRefused) {
  std::vector<float> memory(20);
  const WritableLayer layer("fc", memory.data(), {7, 1});
  const WritableLayer other("other", memory.data() + 2, {7, 1});
  const std::vector<peft_layer_t> layers = {layer.layer, other.layer};
  peft_model_t* model = nullptr;
  EXPECT_EQ(
      Take(peft_model_create(layers.data(), layers.size(), nullptr, &model))
          .subject,
      "other");
}

}  // namespace
}  // namespace peft
