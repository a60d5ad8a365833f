// A host model of one linear layer, and adapters for it, for tests.
#ifndef PEFT_C_HOST_MODEL_TEST_UTIL_H_
#define PEFT_C_HOST_MODEL_TEST_UTIL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {

using OwnedRunner = Owned<peft_layer_runner_t, peft_layer_runner_free>;
using OwnedActivation = Owned<peft_activation_t, peft_activation_free>;
using OwnedLowered = Owned<peft_lowered_t, peft_lowered_free>;

// A view of a vector, whose sizes it keeps. Not copied: views point into it.
struct FloatView {
  std::vector<int64_t> sizes;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;

  FloatView(const float* data, std::vector<int64_t> its_sizes)
      : sizes(std::move(its_sizes)) {
    view.data = data;
    view.dtype = PEFT_DTYPE_F32;
    view.rank = static_cast<int32_t>(sizes.size());
    view.sizes = sizes.data();
  }
  FloatView(const FloatView&) = delete;
  FloatView& operator=(const FloatView&) = delete;

  const peft_tensor_view_t* operator&() const { return &view; }
};

// Sets a tensor of a state dict.
inline void SetTensor(peft_state_dict_t* tensors, const std::string& name,
                      const std::vector<float>& values,
                      const std::vector<int64_t>& sizes) {
  const FloatView view(values.data(), sizes);
  EXPECT_PEFT_OK(peft_state_dict_set(tensors, name.c_str(), &view));
}

// Loads a LoRA of rank 1 at "fc", (2, 3): B is (scale, 2 scale), A all ones.
// `more` is put into its config.
inline Outcome LoadLora(peft_model_t* model, const char* name, float scale,
                        const std::string& more = "") {
  peft_state_dict_t* created = nullptr;
  EXPECT_PEFT_OK(peft_state_dict_create(&created));
  const OwnedStateDict tensors(created);
  const std::string prefix = "base_model.model.fc.";
  SetTensor(created, prefix + "lora_A.weight", {1, 1, 1}, {1, 3});
  SetTensor(created, prefix + "lora_B.weight", {scale, 2 * scale}, {2, 1});
  if (more.find("use_dora") != std::string::npos) {
    SetTensor(created, prefix + "lora_magnitude_vector", {1, 1}, {2});
  }
  if (more.find("lora_bias") != std::string::npos) {
    SetTensor(created, prefix + "lora_B.bias", {1, 2}, {2});
  }
  const std::string config =
      "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 1, "
      "\"target_modules\": [\"fc\"]" +
      more + "}";
  return Take(peft_model_load_adapter_from_memory(model, name, config.c_str(),
                                                  created, nullptr, nullptr));
}

// Loads an IA3 at "fc" that doubles the outputs, or the inputs.
inline Outcome LoadIa3(peft_model_t* model, const char* name,
                       bool is_feedforward) {
  peft_state_dict_t* created = nullptr;
  EXPECT_PEFT_OK(peft_state_dict_create(&created));
  const OwnedStateDict tensors(created);
  const std::string part = "base_model.model.fc.ia3_l";
  if (is_feedforward) {
    SetTensor(created, part, {2, 2, 2}, {1, 3});
  } else {
    SetTensor(created, part, {2, 2}, {2, 1});
  }
  const std::string config =
      std::string(
          "{\"peft_type\": \"IA3\", \"target_modules\": [\"fc\"], "
          "\"feedforward_modules\": [") +
      (is_feedforward ? "\"fc\"" : "") + "]}";
  return Take(peft_model_load_adapter_from_memory(model, name, config.c_str(),
                                                  created, nullptr, nullptr));
}

// "fc": weight ((1, 2, 3), (4, 5, 6)), bias (10, 20), in memory of its own.
class HostModelTest : public testing::Test {
 protected:
  // Of what kind the layer is.
  enum class Weights { kCopied, kKept, kWritable };

  void Create(Weights weights, const peft_model_options_t* options = nullptr) {
    FloatView weight(weights == Weights::kKept ? nullptr : weight_, {2, 3});
    const FloatView bias(bias_, {2});
    peft_layer_t layer = PEFT_LAYER_INIT;
    layer.name = "fc";
    layer.kind = PEFT_LAYER_LINEAR;
    layer.weight = &weight.view;
    layer.bias = &bias.view;
    if (weights == Weights::kWritable) {
      layer.copy_weights = 0;
      layer.writable_weights = 1;
    }
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(peft_model_create(&layer, 1, options, &model));
    model_.reset(model);
    peft_layer_runner_t* runner = nullptr;
    ASSERT_PEFT_OK(peft_layer_runner_create(model, &runner));
    runner_.reset(runner);
    ASSERT_PEFT_OK(peft_model_find_layer(model, "fc", -1, &layer_));
  }

  // Two rows of ones and twos through the runner.
  Outcome Run(const peft_run_layer_options_t* options = nullptr) {
    const FloatView x(x_, {2, 3});
    const FloatView y(y_, {2, 2});
    return Take(peft_layer_runner_run(runner_.get(), layer_, &x, options, &y));
  }
  Outcome AddDelta(const peft_run_layer_options_t* options = nullptr) {
    const FloatView x(x_, {2, 3});
    const FloatView y(y_, {2, 2});
    return Take(
        peft_layer_runner_add_delta(runner_.get(), layer_, &x, options, &y));
  }
  // What the program itself computes from the weights that it has.
  void RunOwnCode() {
    for (int row = 0; row < 2; ++row) {
      for (int i = 0; i < 2; ++i) {
        y_[2 * row + i] = bias_[i];
        for (int k = 0; k < 3; ++k) {
          y_[2 * row + i] += x_[3 * row + k] * weight_[3 * i + k];
        }
      }
    }
  }
  std::vector<float> Y() const { return {y_, y_ + 4}; }

  float weight_[6] = {1, 2, 3, 4, 5, 6};
  float bias_[2] = {10, 20};
  float x_[6] = {1, 1, 1, 2, 2, 2};
  float y_[4] = {};
  int64_t layer_ = -1;
  OwnedModel model_;
  OwnedRunner runner_;
};

// Of the base, and of the base with LoadLora(..., 1).
const std::vector<float> kBaseY = {16, 35, 22, 50};
const std::vector<float> kLoraY = {19, 41, 28, 62};

}  // namespace peft

#endif  // PEFT_C_HOST_MODEL_TEST_UTIL_H_
