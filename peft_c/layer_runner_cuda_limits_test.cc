// What layers on a CUDA device refuse, and that it is named.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/kernel_image.h"
#include "peft_c/cuda_host_model_test_util.h"

namespace peft {
namespace {

class LayerRunnerCudaLimitsTest : public CudaHostModelTest {};

class F32LimitsTest : public LayerRunnerCudaLimitsTest {
 protected:
  void SetUp() override { Create(DType::kF32); }
};

TEST_F(F32LimitsTest, WhatItCannotRunIsNamed) {
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

TEST_F(F32LimitsTest, ReplacedWeightsAreNotRun) {
  LoadWithSavedQ("a");
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  const Outcome outcome = OnCuda(false, Find("q"), x, y, kNoOptions);
  EXPECT_EQ(outcome.id, "UNIMPLEMENTED");
  EXPECT_NE(outcome.message.find("modules_to_save"), std::string::npos);
  ExpectAsOnCpu(false, "k", 2);
}

TEST_F(F32LimitsTest, FactorsBetweenAdaptersAreNotRun) {
  LoadIa3OnAll("inner");
  LoadLoraOnAll("outer", 8);
  SetActive({"inner", "outer"});
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "UNIMPLEMENTED");
}

TEST_F(F32LimitsTest, MergedModelsAreNotRun) {
  LoadLoraOnAll("a", 8);
  ASSERT_PEFT_OK(peft_model_merge_adapter(model_.get(), nullptr, 0, nullptr));
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(false, Find("q"), x, y, kNoOptions).id, "MERGED");
  EXPECT_EQ(Take(peft_layer_runner_update(cuda_.get(), nullptr)).id, "MERGED");
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  ExpectAsOnCpu(false, "q", 2);
}

TEST_F(F32LimitsTest, WhatDoesMoreThanAddHasNoDelta) {
  LoadIa3OnAll("a");
  const CudaMatrix x = Random({2, kIn});
  const CudaMatrix y = Random({2, 40});
  EXPECT_EQ(OnCuda(true, Find("q"), x, y, kNoOptions).id, "LAYER_NO_DELTA");
}

TEST_F(LayerRunnerCudaLimitsTest, WholeLayersNeedAWeight) {
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

TEST_F(LayerRunnerCudaLimitsTest, AdaptersMakeRoomForEachOther) {
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

TEST_F(LayerRunnerCudaLimitsTest, LimitsAreNamed) {
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

TEST_F(LayerRunnerCudaLimitsTest, OptionsThatCannotBeAreNamed) {
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
  if (kernels::cuda::KernelImage() != nullptr) return;  // built in
  EXPECT_EQ(id_of([](Options& o) { o.kernels_path = nullptr; }),
            "CUDA_DRIVER ");
}

}  // namespace
}  // namespace peft
