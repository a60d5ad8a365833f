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

  void SetActive(std::vector<const char*> names) {
    ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), names.data(),
                                          names.size(), nullptr));
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

TEST_F(F32Test, TakesAsFewLaunchesAsItSays) {
  if (!machine_.is_fake()) GTEST_SKIP() << "a GPU does not say what ran";
  LoadLoraOnAll("a", 8);
  ExpectAsOnCpu(false, "q", 16);
  machine_.TakeKernels();
  machine_.TakeProducts();
  ExpectAsOnCpu(false, "q", 16);
  EXPECT_EQ(machine_.TakeKernels(), "peft_fused_f32_f32\n");
  EXPECT_EQ(machine_.TakeProducts(), 0);
  ExpectAsOnCpu(false, "q", 80);
  EXPECT_EQ(machine_.TakeKernels(), "");
  EXPECT_EQ(machine_.TakeProducts(), 3);
  LoadLoraOnAll("b", 13);  // no multiple of 16 bytes
  ExpectAsOnCpu(false, "q", 80);
  EXPECT_EQ(machine_.TakeKernels(),
            "peft_shrink_f32_f32\npeft_expand_f32_f32\n");
  EXPECT_EQ(machine_.TakeProducts(), 1);
}

TEST_F(F32Test, CallsOnAnotherStreamComeAfterThoseBefore) {
  LoadLoraOnAll("a", 8);
  kernels::cuda::StreamHandle first = nullptr;
  kernels::cuda::StreamHandle second = nullptr;
  ASSERT_EQ(machine_->cuStreamCreate(&first, 1), 0);
  ASSERT_EQ(machine_->cuStreamCreate(&second, 1), 0);
  peft_run_layer_options_t options = kNoOptions;
  const CudaMatrix x = Random({40, kIn});
  const CudaMatrix y = Random({40, 40});
  const CudaMatrix z = Random({40, 16});
  options.stream = first;
  ASSERT_TRUE(OnCuda(false, Find("q"), x, y, options).ok());
  options.stream = second;
  ASSERT_TRUE(OnCuda(false, Find("k"), x, z, options).ok());
  // The fake runs what somebody waits for, and nothing before it has to.
  ASSERT_EQ(machine_->cuStreamSynchronize(second), 0);
  ExpectClose(Fetch(z), OnCpu(false, Find("k"), x, z, options));
  ExpectClose(Fetch(y), OnCpu(false, Find("q"), x, y, options));
  ASSERT_EQ(machine_->cuStreamDestroy_v2(first), 0);
  ASSERT_EQ(machine_->cuStreamDestroy_v2(second), 0);
}

TEST_F(F32Test, WhatItCannotRunIsNamed) {
  LoadLoraOnAll("a", 8);
  Layer other = Find("q");
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  ASSERT_PEFT_OK(peft_model_find_layer(model_.get(), "e", -1, &other.number));
  EXPECT_EQ(OnCuda(false, other, x, y, kNoOptions).id, "UNIMPLEMENTED");
  const CudaMatrix narrow = Random({2, 39});
  EXPECT_EQ(OnCuda(false, Find("q"), x, narrow, kNoOptions).id,
            "TENSOR_SHAPE_MISMATCH");
  const FloatView on_host(x.values.data(), x.sizes);
  const DeviceView out(y, dtype_);
  EXPECT_EQ(Take(peft_layer_runner_run(cuda_.get(), Find("q").number, &on_host,
                                       nullptr, &out))
                .subject,
            "x.device_type");
  const DeviceView in(x, dtype_);
  EXPECT_EQ(Take(peft_layer_runner_run(cpu_.get(), Find("q").number, &in,
                                       nullptr, &out))
                .subject,
            "x.device_type");
  const DeviceView wrong(x, DType::kF16);
  EXPECT_EQ(Take(peft_layer_runner_run(cuda_.get(), Find("q").number, &wrong,
                                       nullptr, &out))
                .id,
            "TENSOR_DTYPE");
  LoadLoraOnAll("waits", 8, R"(, "alora_invocation_tokens": [1])");
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "UNIMPLEMENTED");
  EXPECT_EQ(Fetch(y), y.values);
}

TEST_F(F32Test, ReplacedWeightsAreNotRun) {
  OwnedStateDict tensors = LoraTensors({"k"}, 8);
  SetRandom(tensors.get(), "base_model.model.q.weight", {40, kIn});
  SetRandom(tensors.get(), "base_model.model.q.bias", {40});
  ASSERT_TRUE(Load("a", tensors.get(),
                   R"({"peft_type": "LORA", "r": 8, "lora_alpha": 8,
                       "target_modules": ["k"], "modules_to_save": ["q"]})")
                  .ok());
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  const Outcome outcome = OnCuda(false, Find("q"), x, y, kNoOptions);
  EXPECT_EQ(outcome.id, "UNIMPLEMENTED");
  EXPECT_NE(outcome.message.find("modules_to_save"), std::string::npos);
  ExpectAsOnCpu(false, "k", 2);
}

TEST_F(F32Test, FactorsBetweenAdaptersAreNotRun) {
  LoadIa3OnAll("inner");
  LoadLoraOnAll("outer", 8);
  SetActive({"inner", "outer"});
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "UNIMPLEMENTED");
}

TEST_F(F32Test, MergedModelsAreNotRun) {
  LoadLoraOnAll("a", 8);
  ASSERT_PEFT_OK(peft_model_merge_adapter(model_.get(), nullptr, 0, nullptr));
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "MERGED");
  EXPECT_EQ(Take(peft_layer_runner_update(cuda_.get(), nullptr)).id, "MERGED");
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  ExpectAsOnCpu(false, "q", 2);
}

TEST_F(F32Test, WhatDoesMoreThanAddHasNoDelta) {
  LoadIa3OnAll("a");
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(true, Find("q"), x, y, kNoOptions).id, "LAYER_NO_DELTA");
}

TEST_F(LayerRunnerCudaTest, WholeLayersNeedAWeight) {
  Create(DType::kF32);
  peft_cuda_options_t options = DefaultOptions();
  options.dtype = PEFT_DTYPE_F32;
  options.driver_path = machine_.driver_path();
  options.cublaslt_path = machine_.cublaslt_path();
  options.kernels_path = machine_.kernels_path();
  peft_layer_runner_t* made = nullptr;
  ASSERT_PEFT_OK(peft_layer_runner_create_cuda(model_.get(), &options, &made));
  cuda_.reset(made);
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "LAYER_WEIGHT");
  EXPECT_TRUE(OnCuda(true, Find("q"), x, y, kNoOptions).ok());
  const DeviceView turned(Random({kIn, 40}), dtype_);
  EXPECT_EQ(
      Take(peft_layer_runner_set_weight(made, Find("q").number, &turned)).id,
      "TENSOR_SHAPE_MISMATCH");
}

TEST_F(LayerRunnerCudaTest, AdaptersMakeRoomForEachOther) {
  peft_cuda_options_t options = DefaultOptions();
  options.adapter_bytes = 2 << 20;  // two pages of 1 MiB: two adapters
  options.max_activations = 1;
  Create(DType::kF32, options);
  for (int i = 0; i < 5; ++i) {
    LoadLoraOnAll(("a" + std::to_string(i)).c_str(), 8);
    ExpectAsOnCpu(false, "q", 3);
  }
  SetActive({"a0"});
  ExpectAsOnCpu(false, "q", 3);
  // The model's own keeps one page, and the two that act together need both.
  SetActive({"a0", "a1"});
  ExpectAsOnCpu(false, "q", 3);
  const char* const other = "a2";
  peft_run_layer_options_t one = kNoOptions;
  one.adapter_names = &other;
  one.num_adapter_names = 1;
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, one).id, "OUT_OF_MEMORY");
  ExpectAsOnCpu(false, "q", 3);
}

TEST_F(LayerRunnerCudaTest, LimitsAreNamed) {
  peft_cuda_options_t options = DefaultOptions();
  options.max_activations = 2;
  options.max_rank = 12;
  options.max_adapters = 1;
  Create(DType::kF32, options);
  LoadLoraOnAll("a", 8);
  LoadLoraOnAll("b", 8);
  LoadLoraOnAll("c", 8);
  const CudaMatrix x = Random({3, kIn});
  const CudaMatrix y = Random({3, 40});
  const char* const names[] = {"a", "b", "c"};
  peft_run_layer_options_t three = kNoOptions;
  three.adapter_names = names;
  three.num_adapter_names = 3;
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, three).id, "CUDA_ACTIVATIONS");
  SetActive({"a", "b"});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "ARGUMENT");
  LoadLoraOnAll("wide", 13);
  const Outcome wide = OnCuda(false, Find("q"), x, y, kNoOptions);
  EXPECT_EQ(wide.subject, "max_rank");
  SetActive({"c"});
  ExpectAsOnCpu(false, "q", 3);
}

TEST_F(LayerRunnerCudaTest, OptionsThatCannotBeAreNamed) {
  Create(DType::kF32);
  const auto id_of = [&](auto change) {
    peft_cuda_options_t options = DefaultOptions();
    options.driver_path = machine_.driver_path();
    options.cublaslt_path = machine_.cublaslt_path();
    options.kernels_path = machine_.kernels_path();
    change(options);
    peft_layer_runner_t* made = nullptr;
    const Outcome outcome =
        Take(peft_layer_runner_create_cuda(model_.get(), &options, &made));
    EXPECT_EQ(made, nullptr);
    return outcome.id + " " + outcome.subject;
  };
  using Options = peft_cuda_options_t;
  EXPECT_EQ(id_of([](Options& o) { o.dtype = PEFT_DTYPE_I64; }),
            "ARGUMENT dtype");
  EXPECT_EQ(id_of([](Options& o) { o.adapter_dtype = 99; }),
            "ARGUMENT adapter_dtype");
  EXPECT_EQ(id_of([](Options& o) { o.max_rank = 0; }), "ARGUMENT max_rank");
  EXPECT_EQ(id_of([](Options& o) { o.adapter_bytes = 1; }),
            "ARGUMENT adapter_bytes");
  EXPECT_EQ(id_of([](Options& o) { o.device_index = 7; }), "ARGUMENT ");
  EXPECT_EQ(id_of([](Options& o) { o.driver_path = "/no/such/driver.so"; }),
            "CUDA_DRIVER ");
  EXPECT_EQ(id_of([](Options& o) { o.cublaslt_path = "/no/such/lt.so"; }),
            "CUBLASLT ");
  EXPECT_EQ(id_of([](Options& o) { o.kernels_path = "/no/such/kernels"; }),
            "FILE_NOT_FOUND /no/such/kernels");
  EXPECT_EQ(id_of([](Options& o) { o.kernels_path = nullptr; }),
            "CUDA_DRIVER ");
}

}  // namespace
}  // namespace peft
