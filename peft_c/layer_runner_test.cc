#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/failing_allocations.h"
#include "peft_c/host_model_test_util.h"

namespace peft {
namespace {

class LayerRunnerTest : public HostModelTest {};

TEST_F(LayerRunnerTest, WritesToTheProgramsMemory) {
  Create(Weights::kCopied);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kBaseY);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kLoraY);
}

TEST_F(LayerRunnerTest, SeesWhatWasActivatedSinceItsLastCall) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  ASSERT_TRUE(Run().ok());
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "a", 2));
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), std::vector<float>({22, 47, 34, 74}));
  ASSERT_PEFT_OK(peft_model_disable_adapters(model_.get()));
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kBaseY);
}

TEST_F(LayerRunnerTest, AddsTheDeltaToTheProgramsOutput) {
  Create(Weights::kKept);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  RunOwnCode();
  EXPECT_EQ(Y(), kBaseY);
  ASSERT_TRUE(AddDelta().ok());
  EXPECT_EQ(Y(), kLoraY);
}

TEST_F(LayerRunnerTest, TheDeltaOfABiasIsItsChange) {
  Create(Weights::kKept);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 0, ", \"lora_bias\": true").ok());
  RunOwnCode();
  ASSERT_TRUE(AddDelta().ok());
  EXPECT_EQ(Y(), std::vector<float>({17, 37, 23, 52}));
}

TEST_F(LayerRunnerTest, WholeLayersNeedAWeight) {
  Create(Weights::kKept);
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.code, PEFT_FAILED_PRECONDITION);
  EXPECT_EQ(outcome.id, "LAYER_WEIGHT");
  EXPECT_EQ(outcome.subject, "fc");
  EXPECT_EQ(Y(), std::vector<float>(4, 0));
  EXPECT_EQ(LoadLora(model_.get(), "a", 1, ", \"use_dora\": true").id,
            "ADAPTER_FEATURE_UNSUPPORTED");
}

TEST_F(LayerRunnerTest, WhatDoesMoreThanAddHasNoDelta) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "dora", 1, ", \"use_dora\": true").ok());
  EXPECT_EQ(AddDelta().id, "LAYER_NO_DELTA");
  ASSERT_TRUE(LoadIa3(model_.get(), "outputs", false).ok());
  EXPECT_EQ(AddDelta().id, "LAYER_NO_DELTA");
  ASSERT_TRUE(LoadIa3(model_.get(), "inputs", true).ok());
  EXPECT_EQ(AddDelta().id, "LAYER_NO_DELTA");
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  EXPECT_TRUE(AddDelta().ok());
  ASSERT_PEFT_OK(peft_model_merge_adapter(model_.get(), nullptr, 0, nullptr));
  EXPECT_EQ(AddDelta().id, "LAYER_NO_DELTA");
}

TEST_F(LayerRunnerTest, WhatWaitsForTokensIsNotRun) {
  Create(Weights::kCopied);
  const char config[] = R"(, "alora_invocation_tokens": [1])";
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1, config).ok());
  EXPECT_EQ(Run().id, "UNIMPLEMENTED");
  EXPECT_EQ(AddDelta().id, "UNIMPLEMENTED");
}

TEST_F(LayerRunnerTest, EachRowHasItsAdapter) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  const char* names[] = {"__base__", "a"};
  peft_run_layer_options_t options = PEFT_RUN_LAYER_OPTIONS_INIT;
  options.adapter_names = names;
  options.num_adapter_names = 2;
  ASSERT_TRUE(Run(&options).ok());
  EXPECT_EQ(Y(), std::vector<float>({16, 35, 28, 62}));
  RunOwnCode();
  ASSERT_TRUE(AddDelta(&options).ok());
  EXPECT_EQ(Y(), std::vector<float>({16, 35, 28, 62}));
  options.num_adapter_names = 1;
  EXPECT_TRUE(Run(&options).ok());  // one for all
  names[0] = "nobody";
  EXPECT_EQ(Run(&options).id, "ADAPTER_NOT_FOUND");
}

TEST_F(LayerRunnerTest, EachRowHasItsActivation) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  const char* name = "a";
  const float scale = -1;
  peft_activation_t* made = nullptr;
  ASSERT_PEFT_OK(peft_activation_create(model_.get(), &name, &scale, 1, &made));
  const OwnedActivation activation(made);
  const peft_activation_t* rows[] = {made, nullptr};
  peft_run_layer_options_t options = PEFT_RUN_LAYER_OPTIONS_INIT;
  options.activations = rows;
  options.num_activations = 2;
  ASSERT_TRUE(Run(&options).ok());
  EXPECT_EQ(Y(), std::vector<float>({13, 29, 22, 50}));
  options.num_activations = 1;
  ASSERT_TRUE(Run(&options).ok());
  EXPECT_EQ(Y(), std::vector<float>({13, 29, 16, 38}));
}

TEST_F(LayerRunnerTest, RowsMayLieApart) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  const float apart[8] = {1, 1, 1, -9, 2, 2, 2, -9};
  float out[6] = {-1, -1, -1, -1, -1, -1};
  const int64_t x_strides[] = {4, 1};
  const int64_t y_strides[] = {3, 1};
  FloatView x(apart, {2, 3});
  FloatView y(out, {2, 2});
  x.view.strides = x_strides;
  y.view.strides = y_strides;
  ASSERT_PEFT_OK(peft_layer_runner_run(runner_.get(), layer_, &x, nullptr, &y));
  EXPECT_EQ(std::vector<float>(out, out + 6),
            std::vector<float>({19, 41, -1, 28, 62, -1}));
}

TEST_F(LayerRunnerTest, OtherElementTypesAreConverted) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  // bf16: the upper halves of floats.
  const uint16_t x_bits[6] = {0x3f80, 0x3f80, 0x3f80, 0x4000, 0x4000, 0x4000};
  uint16_t y_bits[4] = {};
  FloatView x(reinterpret_cast<const float*>(x_bits), {2, 3});
  FloatView y(reinterpret_cast<const float*>(y_bits), {2, 2});
  x.view.dtype = y.view.dtype = PEFT_DTYPE_BF16;
  ASSERT_PEFT_OK(peft_layer_runner_run(runner_.get(), layer_, &x, nullptr, &y));
  EXPECT_EQ(y_bits[0], 0x4198);  // 19
  EXPECT_EQ(y_bits[3], 0x4278);  // 62
}

TEST_F(LayerRunnerTest, ViewsThatDoNotFitAreNamed) {
  Create(Weights::kCopied);
  const FloatView x(x_, {2, 3});
  const FloatView wide(x_, {3, 2});
  const FloatView y(y_, {2, 2});
  const FloatView flat(y_, {4});
  const auto run = [&](const FloatView& in, const FloatView& out,
                       int64_t layer = 0) {
    return Take(
        peft_layer_runner_run(runner_.get(), layer, &in, nullptr, &out));
  };
  EXPECT_EQ(run(wide, y).id, "TENSOR_SHAPE_MISMATCH");
  EXPECT_EQ(run(x, flat).id, "TENSOR_SHAPE_MISMATCH");
  EXPECT_EQ(run(x, FloatView(nullptr, {2, 2})).id, "ARGUMENT");
  EXPECT_EQ(run(x, FloatView(x_ + 1, {2, 2})).id, "ARGUMENT");  // overlaps
  for (const int64_t layer :
       {int64_t{-1}, int64_t{1}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(run(x, y, layer).subject, "layer");
    EXPECT_EQ(run(x, y, layer).id, "ARGUMENT");
  }
  FloatView strided(y_, {2, 2});
  const int64_t columns[] = {1, 2};
  strided.view.strides = columns;
  EXPECT_EQ(run(x, strided).id, "ARGUMENT");
  const int64_t overlapping[] = {1, 1};
  strided.view.strides = overlapping;
  EXPECT_EQ(run(x, strided).id, "ARGUMENT");
  const int64_t huge[] = {std::numeric_limits<int64_t>::max(), 1};
  strided.view.strides = huge;
  EXPECT_EQ(run(x, strided).id, "ARGUMENT");
  EXPECT_EQ(Y(), std::vector<float>(4, 0));
}

TEST_F(LayerRunnerTest, FurtherCallsAllocateNothing) {
  peft_model_options_t one_thread = PEFT_MODEL_OPTIONS_INIT;
  one_thread.num_threads = 1;
  Create(Weights::kCopied, &one_thread);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  const char* name = "a";
  peft_activation_t* made = nullptr;
  ASSERT_PEFT_OK(
      peft_activation_create(model_.get(), &name, nullptr, 1, &made));
  const OwnedActivation activation(made);
  const peft_activation_t* rows[] = {nullptr, made};
  peft_run_layer_options_t options = PEFT_RUN_LAYER_OPTIONS_INIT;
  options.activations = rows;
  options.num_activations = 2;
  const FloatView x(x_, {2, 3});
  const FloatView y(y_, {2, 2});
  const auto run_all = [&](const peft_run_layer_options_t* how) {
    return peft_layer_runner_run(runner_.get(), layer_, &x, how, &y) ==
               nullptr &&
           peft_layer_runner_add_delta(runner_.get(), layer_, &x, how, &y) ==
               nullptr;
  };
  ASSERT_TRUE(run_all(nullptr));
  ASSERT_TRUE(run_all(&options));
  FailAfter(0, AfterFailure::kAllFail);
  const bool ran = run_all(nullptr) && run_all(&options);
  EXPECT_FALSE(StopFailing());
  EXPECT_TRUE(ran);
}

TEST_F(LayerRunnerTest, MemoryMayRunOut) {
  Create(Weights::kCopied);
  ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  const FloatView x(x_, {2, 3});
  const FloatView y(y_, {2, 2});
  FailEveryAllocation(
      kAll, AfterFailure::kNoneFails, "",
      [&] {
        peft_layer_runner_t* runner = nullptr;
        peft_status_t* status = peft_layer_runner_create(model_.get(), &runner);
        if (status == nullptr) {
          status = peft_layer_runner_run(runner, layer_, &x, nullptr, &y);
        }
        peft_layer_runner_free(runner);
        return status;
      },
      [] {});
  FailEveryAllocationOf<peft_lowered_t, peft_lowered_free>(
      [&](peft_lowered_t** out) {
        return peft_model_lower_layer(model_.get(), layer_, nullptr, out);
      });
}

TEST_F(LayerRunnerTest, OutlivesItsModelsHandle) {
  Create(Weights::kCopied);
  model_.reset();
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kBaseY);
}

class MergeInPlaceTest : public HostModelTest {
 protected:
  void SetUp() override {
    Create(Weights::kWritable);
    ASSERT_TRUE(LoadLora(model_.get(), "a", 1).ok());
  }
  Outcome Merge() {
    const char* name = "a";
    return Take(peft_model_merge_adapter(model_.get(), &name, 1, nullptr));
  }
};

TEST_F(MergeInPlaceTest, TheProgramsOwnCodeRunsTheMergedLayer) {
  ASSERT_TRUE(Merge().ok());
  RunOwnCode();
  EXPECT_EQ(Y(), kLoraY);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kLoraY);
  RunOwnCode();
  ASSERT_TRUE(AddDelta().ok());  // nothing is active besides
  EXPECT_EQ(Y(), kLoraY);
}

TEST_F(MergeInPlaceTest, UnmergingRestoresEveryBit) {
  // What no sum and difference would give back.
  weight_[0] = 1e-30f;
  weight_[1] = -0.0f;
  std::vector<uint32_t> before(6);
  std::memcpy(before.data(), weight_, sizeof(weight_));
  ASSERT_TRUE(Merge().ok());
  EXPECT_EQ(weight_[0], 1);
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  std::vector<uint32_t> after(6);
  std::memcpy(after.data(), weight_, sizeof(weight_));
  EXPECT_EQ(after, before);
}

TEST_F(MergeInPlaceTest, ActivatingUnmergesFirst) {
  ASSERT_TRUE(Merge().ok());
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), nullptr, 0, nullptr));
  EXPECT_EQ(weight_[0], 1);
  RunOwnCode();
  EXPECT_EQ(Y(), kBaseY);
  ASSERT_TRUE(Merge().ok());
  ASSERT_PEFT_OK(peft_model_unload(model_.get()));
  RunOwnCode();
  EXPECT_EQ(Y(), kBaseY);
}

TEST_F(MergeInPlaceTest, ASecondMergeStartsFromTheBase) {
  ASSERT_TRUE(LoadLora(model_.get(), "b", 10).ok());
  ASSERT_TRUE(Merge().ok());
  const char* name = "b";
  ASSERT_PEFT_OK(peft_model_merge_adapter(model_.get(), &name, 1, nullptr));
  EXPECT_EQ(weight_[0], 12);
  EXPECT_EQ(weight_[5], 28);
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  RunOwnCode();
  EXPECT_EQ(Y(), kBaseY);
}

TEST_F(MergeInPlaceTest, WhileDisabledTheLibraryRunsTheBase) {
  ASSERT_TRUE(Merge().ok());
  ASSERT_PEFT_OK(peft_model_disable_adapters(model_.get()));
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kBaseY);
  ASSERT_PEFT_OK(peft_model_enable_adapters(model_.get()));
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Y(), kLoraY);
}

TEST_F(MergeInPlaceTest, WhatNeedsTheBaseIsRefused) {
  ASSERT_TRUE(Merge().ok());
  EXPECT_EQ(LoadLora(model_.get(), "b", 1).id, "MERGED");
  peft_probe_report_t* report = nullptr;
  EXPECT_PEFT_ERROR(
      peft_model_probe_adapter(model_.get(), "a", nullptr, &report),
      PEFT_FAILED_PRECONDITION, "MERGED");
  const char* name = "a";
  peft_activation_t* activation = nullptr;
  EXPECT_PEFT_ERROR(
      peft_activation_create(model_.get(), &name, nullptr, 1, &activation),
      PEFT_FAILED_PRECONDITION, "MERGED");
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  EXPECT_TRUE(LoadLora(model_.get(), "b", 1).ok());
}

TEST_F(MergeInPlaceTest, RunningOutOfMemoryLeavesTheWeightsAsTheyWere) {
  const std::vector<float> before(weight_, weight_ + 6);
  const char* name = "a";
  const auto check = [&] {
    EXPECT_EQ(std::vector<float>(weight_, weight_ + 6), before);
  };
  FailEveryAllocation(
      kAll, AfterFailure::kNoneFails, "",
      [&] { return peft_model_merge_adapter(model_.get(), &name, 1, nullptr); },
      [&] {
        EXPECT_EQ(weight_[0], 2);
        EXPECT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
      },
      check);
  check();
}

TEST_F(MergeInPlaceTest, ABiasThatIsScaledIsWritten) {
  ASSERT_TRUE(LoadIa3(model_.get(), "double", false).ok());
  const char* name = "double";
  ASSERT_PEFT_OK(peft_model_merge_adapter(model_.get(), &name, 1, nullptr));
  EXPECT_EQ(bias_[1], 40);
  RunOwnCode();
  EXPECT_EQ(Y(), std::vector<float>({32, 70, 44, 100}));
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  EXPECT_EQ(bias_[1], 20);
}

TEST(WritableWeights, AreNoCopies) {
  const float weight[1] = {1};
  const FloatView view(weight, {1, 1});
  peft_layer_t layer = PEFT_LAYER_INIT;
  layer.name = "fc";
  layer.kind = PEFT_LAYER_LINEAR;
  layer.weight = &view;
  layer.writable_weights = 1;
  peft_model_t* model = nullptr;
  EXPECT_PEFT_ERROR(peft_model_create(&layer, 1, nullptr, &model),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST(WritableWeights, AreNobodyElses) {
  const float weight[6] = {};
  const FloatView view(weight, {2, 2});
  const FloatView overlapping(weight + 3, {1, 3});
  peft_layer_t layers[2] = {PEFT_LAYER_INIT, PEFT_LAYER_INIT};
  layers[0].name = "a";
  layers[1].name = "b";
  layers[0].kind = layers[1].kind = PEFT_LAYER_LINEAR;
  layers[0].copy_weights = layers[1].copy_weights = 0;
  layers[0].weight = &view;
  layers[1].weight = &overlapping;
  layers[0].writable_weights = 1;
  peft_model_t* model = nullptr;
  EXPECT_PEFT_ERROR(peft_model_create(layers, 2, nullptr, &model),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

}  // namespace
}  // namespace peft
