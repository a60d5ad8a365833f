// Layers on a CUDA device give what they give on the CPU.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/cuda_host_model_test_util.h"

namespace peft {
namespace {

// Of one launch, of a second tile, and of cuBLASLt's products.
constexpr int64_t kRows[] = {1, 5, 16, 17, 80};

class LayerRunnerCudaTest : public CudaHostModelTest {
 protected:
  void ExpectAllAsOnCpu(bool with_delta) {
    for (const char* layer : {"q", "k", "c"}) {
      for (const int64_t rows : kRows) {
        ExpectAsOnCpu(false, layer, rows);
        if (with_delta) ExpectAsOnCpu(true, layer, rows);
      }
    }
  }
};

class DTypesTest : public LayerRunnerCudaTest,
                   public testing::WithParamInterface<DType> {
 protected:
  void SetUp() override { Create(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(
    DTypes, DTypesTest, testing::Values(DType::kF32, DType::kF16, DType::kBF16),
    [](const auto& info) { return std::string(DTypeName(info.param)); });

TEST_P(DTypesTest, TheBaseAlone) { ExpectAllAsOnCpu(true); }

TEST_P(DTypesTest, LoraOfEachRank) {
  for (const int64_t rank : {1, 8, 13, 48}) {
    SCOPED_TRACE(rank);
    LoadLoraOnAll(("r" + std::to_string(rank)).c_str(), rank);
    ExpectAllAsOnCpu(true);
  }
}

TEST_P(DTypesTest, LoraWithBias) {
  LoadLoraOnAll("a", 8, R"(, "lora_bias": true)");
  ExpectAllAsOnCpu(true);
}

TEST_P(DTypesTest, Dora) {
  LoadLoraOnAll("a", 4, R"(, "use_dora": true)");
  ExpectAllAsOnCpu(false);
}

TEST_P(DTypesTest, Ia3) {
  LoadIa3OnAll("a");
  ExpectAllAsOnCpu(false);
}

TEST_P(DTypesTest, AdaLora) {
  LoadAdaLora("a");
  ExpectAllAsOnCpu(true);
}

class F32Test : public LayerRunnerCudaTest {
 protected:
  void SetUp() override { Create(DType::kF32); }
};

TEST_F(F32Test, AdaptersActTogetherWithTheirScales) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("b", 5, R"(, "use_rslora": true)");
  SetActive({"a", "b"});
  ExpectAllAsOnCpu(true);
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "b", -0.5f));
  ExpectAllAsOnCpu(true);
}

TEST_F(F32Test, SeesWhatWasActivatedSinceItsLastCall) {
  LoadLoraOnAll("a", 8);
  ExpectAsOnCpu(false, "q", 4);
  LoadIa3OnAll("ia3");
  ExpectAsOnCpu(false, "q", 4);
  SetActive({"a"});
  ExpectAsOnCpu(false, "q", 4);
  ASSERT_PEFT_OK(peft_model_disable_adapters(model_.get()));
  ExpectAsOnCpu(false, "q", 4);
  ASSERT_PEFT_OK(peft_model_enable_adapters(model_.get()));
  const char* const all[] = {"a", "ia3"};
  ASSERT_PEFT_OK(peft_model_delete_adapter(model_.get(), all, 2));
  ExpectAsOnCpu(false, "q", 4);
}

TEST_F(F32Test, EachRowHasItsAdapter) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("bias", 3, R"(, "lora_bias": true)");
  LoadLoraOnAll("dora", 4, R"(, "use_dora": true)");
  LoadIa3OnAll("ia3");
  LoadAdaLora("adalora");
  std::vector<const char*> names = {"a",    "__base__", "bias", "bias",
                                    "dora", "adalora",  "ia3",  "a"};
  peft_run_layer_options_t options = kNoOptions;
  options.adapter_names = names.data();
  options.num_adapter_names = names.size();
  for (const char* layer : {"q", "k", "c"}) {
    ExpectAsOnCpu(false, layer, 8, options);
  }
  names = {"bias", "a", "__base__", "adalora"};
  options.adapter_names = names.data();
  options.num_adapter_names = names.size();
  for (const char* layer : {"q", "k", "c"}) {
    ExpectAsOnCpu(true, layer, 4, options);
  }
}

TEST_F(F32Test, AnIndexOfTheFirstAxisIsARow) {
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("b", 8);
  const char* const names[] = {"a", "b"};
  peft_run_layer_options_t options = kNoOptions;
  options.adapter_names = names;
  options.num_adapter_names = 2;
  const CudaMatrix x = Random({2, 21, kIn});
  const CudaMatrix y = Random({2, 21, 40});
  ASSERT_TRUE(OnCuda(false, Find("q"), x, y, options).ok());
  ExpectClose(Fetch(y), OnCpu(false, Find("q"), x, y, options));
}

TEST_F(F32Test, ActivationsActWithTheirScales) {
  LoadLoraOnAll("a", 8);
  const char* const name = "a";
  const float scale = 3;
  peft_activation_t* made = nullptr;
  ASSERT_PEFT_OK(peft_activation_create(model_.get(), &name, &scale, 1, &made));
  const OwnedActivation activation(made);
  const peft_activation_t* const rows[] = {made, nullptr, made};
  peft_run_layer_options_t options = kNoOptions;
  options.activations = rows;
  options.num_activations = 3;
  ExpectAsOnCpu(false, "q", 3, options);
  options.num_activations = 1;
  ExpectAsOnCpu(false, "q", 3, options);
}

TEST_F(F32Test, RowsMayLieApart) {
  LoadLoraOnAll("a", 8);
  const CudaMatrix x = Random({3, 2 * kIn});
  const CudaMatrix y = Random({3, 50});
  DeviceView in(x, dtype_);
  DeviceView out(y, dtype_);
  const int64_t in_strides[] = {2 * kIn, 1};
  const int64_t out_strides[] = {50, 1};
  in.sizes[1] = kIn;
  in.view.strides = in_strides;
  out.sizes[1] = 40;
  out.view.strides = out_strides;
  ASSERT_PEFT_OK(
      peft_layer_runner_run(cuda_.get(), Find("q").number, &in, nullptr, &out));
  const std::vector<float> found = Fetch(y);
  for (int64_t row = 0; row < 3; ++row) {
    CudaMatrix one = x;
    one.sizes = {1, kIn};
    one.values.erase(one.values.begin(), one.values.begin() + row * 2 * kIn);
    one.values.resize(kIn);
    const CudaMatrix any = Random({1, 40});
    const auto expected = OnCpu(false, Find("q"), one, any, kNoOptions);
    const float* const at = &found[row * 50];
    ExpectClose({at, at + 40}, expected);
    EXPECT_TRUE(std::equal(at + 40, at + 50, &y.values[row * 50 + 40]));
  }
}

TEST_F(LayerRunnerCudaTest, TakesAsFewLaunchesAsItSays) {
  Create(DType::kBF16);
  if (!machine_.is_fake()) GTEST_SKIP() << "a GPU does not say what ran";
  LoadLoraOnAll("a", 8);
  ExpectAsOnCpu(false, "q", 16);
  machine_.TakeKernels();
  machine_.TakeProducts();
  ExpectAsOnCpu(false, "q", 16);
  EXPECT_EQ(machine_.TakeKernels(), "peft_fused_bf16_16\n");
  EXPECT_EQ(machine_.TakeProducts(), 0);
  ExpectAsOnCpu(false, "q", 80);
  EXPECT_EQ(machine_.TakeKernels(), "");
  EXPECT_EQ(machine_.TakeProducts(), 3);
  LoadLoraOnAll("b", 13);  // no multiple of 16 bytes
  ExpectAsOnCpu(false, "q", 80);
  EXPECT_EQ(machine_.TakeKernels(),
            "peft_shrink_bf16_bf16\npeft_expand_bf16_bf16\n");
  EXPECT_EQ(machine_.TakeProducts(), 1);
}

class TwoStreamsTest : public F32Test {
 protected:
  void SetUp() override {
    F32Test::SetUp();
    ASSERT_EQ(machine_->cuStreamCreate(&first_, 1), 0);
    ASSERT_EQ(machine_->cuStreamCreate(&second_, 1), 0);
  }
  void TearDown() override {
    EXPECT_EQ(machine_->cuStreamDestroy_v2(first_), 0);
    EXPECT_EQ(machine_->cuStreamDestroy_v2(second_), 0);
    F32Test::TearDown();
  }

  kernels::cuda::StreamHandle first_ = nullptr;
  kernels::cuda::StreamHandle second_ = nullptr;
};

TEST_F(TwoStreamsTest, CallsOnAnotherStreamComeAfterThoseBefore) {
  LoadLoraOnAll("a", 8);
  peft_run_layer_options_t options = kNoOptions;
  const CudaMatrix x = Random({40, kIn});
  const CudaMatrix y = Random({40, 40});
  const CudaMatrix z = Random({40, 16});
  options.stream = first_;
  ASSERT_TRUE(OnCuda(false, Find("q"), x, y, options).ok());
  options.stream = second_;
  ASSERT_TRUE(OnCuda(false, Find("k"), x, z, options).ok());
  // The fake runs what somebody waits for, and nothing before it has to.
  ASSERT_EQ(machine_->cuStreamSynchronize(second_), 0);
  ExpectClose(Fetch(z), OnCpu(false, Find("k"), x, z, options));
  ExpectClose(Fetch(y), OnCpu(false, Find("q"), x, y, options));
}

TEST_F(TwoStreamsTest, ACallThatFailedIsWaitedForToo) {
  LoadLoraOnAll("a", 8);
  ExpectAsOnCpu(false, "q", 3);
  LoadWithSavedQ("b");
  peft_run_layer_options_t options = kNoOptions;
  const CudaMatrix x = Random({3, kIn});
  const CudaMatrix y = Random({3, 40});
  const CudaMatrix z = Random({3, 16});
  // It has copied the new adapter's terms when it finds that it cannot run.
  options.stream = first_;
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, options).id, "UNIMPLEMENTED");
  options.stream = second_;
  ASSERT_TRUE(OnCuda(false, Find("k"), x, z, options).ok());
  ASSERT_EQ(machine_->cuStreamSynchronize(second_), 0);
  std::vector<float> found(z.values.size());
  ASSERT_EQ(machine_->cuMemcpyDtoHAsync_v2(
                found.data(), z.address, found.size() * sizeof(float), second_),
            0);
  ASSERT_EQ(machine_->cuStreamSynchronize(second_), 0);
  ExpectClose(found, OnCpu(false, Find("k"), x, z, options));
}

}  // namespace
}  // namespace peft
