// A host model and random adapters for it, on the CPU and on a fake GPU beside,
// for tests.
#ifndef PEFT_C_CUDA_HOST_MODEL_TEST_UTIL_H_
#define PEFT_C_CUDA_HOST_MODEL_TEST_UTIL_H_

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/testing/test_machine.h"
#include "peft_c/host_model_test_util.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// A matrix of numbers that its dtype has, on the host and on the device.
struct CudaMatrix {
  std::vector<int64_t> sizes;
  std::vector<float> values;
  std::vector<char> bytes;  // in the dtype
  kernels::cuda::DevicePtr address = 0;
};

// "q": Linear 24 -> 40 with a bias; "k": Linear 24 -> 16 without; "c": Conv1D
// 24 -> 32 with a bias; "e": an embedding.
class CudaHostModelTest : public testing::Test {
 protected:
  static constexpr int64_t kIn = 24;

  struct Layer {
    const char* name;
    int64_t out;
    int32_t kind = PEFT_LAYER_LINEAR;
    bool has_bias = false;
    CudaMatrix weight = {};
    std::vector<float> bias = {};
    int64_t number = -1;

    bool is_conv1d() const { return kind == PEFT_LAYER_CONV1D_HF; }
  };

  // The model, a runner on the CPU and one on the GPU.
  void Create(DType dtype, peft_cuda_options_t options = DefaultOptions()) {
    dtype_ = dtype;
    MakeModel();
    options.dtype = options.adapter_dtype = static_cast<int32_t>(dtype);
    options.driver_path = machine_.driver_path();
    options.cublaslt_path = machine_.cublaslt_path();
    options.kernels_path = machine_.kernels_path();
    peft_layer_runner_t* runner = nullptr;
    ASSERT_PEFT_OK(peft_layer_runner_create(model_.get(), &runner));
    cpu_.reset(runner);
    ASSERT_PEFT_OK(
        peft_layer_runner_create_cuda(model_.get(), &options, &runner));
    cuda_.reset(runner);
    for (Layer& layer : layers_) SetWeight(layer);
  }
  void TearDown() override { cuda_.reset(); }

  static peft_cuda_options_t DefaultOptions() { return PEFT_CUDA_OPTIONS_INIT; }

  CudaMatrix Random(std::vector<int64_t> sizes) {
    CudaMatrix matrix;
    int64_t count = 1;
    for (const int64_t size : sizes) count *= size;
    matrix.sizes = std::move(sizes);
    std::normal_distribution<float> normal(0.0f, 0.3f);
    for (int64_t i = 0; i < count; ++i)
      matrix.values.push_back(normal(random_));
    matrix.bytes.resize(count * DTypeSize(dtype_));
    ConvertFromF32(matrix.values.data(), count, dtype_, matrix.bytes.data());
    ConvertToF32(dtype_, matrix.bytes.data(), count, matrix.values.data());
    matrix.address = machine_.Allocate(matrix.bytes.size());
    machine_.Write(matrix.address, matrix.bytes.data(), matrix.bytes.size());
    return matrix;
  }

  // A view of a matrix on the device.
  struct DeviceView : FloatView {
    DeviceView(const CudaMatrix& matrix, DType dtype)
        : FloatView(reinterpret_cast<const float*>(matrix.address),
                    matrix.sizes) {
      view.dtype = static_cast<int32_t>(dtype);
      view.device_type = PEFT_DEVICE_CUDA;
    }
  };

  // Random factors of low rank for layers, in a state dict.
  OwnedStateDict LoraTensors(const std::vector<const char*>& names,
                             int64_t rank) {
    peft_state_dict_t* made = nullptr;
    EXPECT_PEFT_OK(peft_state_dict_create(&made));
    for (const char* name : names) {
      const std::string prefix = std::string("base_model.model.") + name;
      SetRandom(made, prefix + ".lora_A.weight", {rank, kIn});
      SetRandom(made, prefix + ".lora_B.weight", {Find(name).out, rank});
    }
    return OwnedStateDict(made);
  }

  void SetRandom(peft_state_dict_t* tensors, const std::string& name,
                 const std::vector<int64_t>& sizes) {
    SetTensor(tensors, name, Random(sizes).values, sizes);
  }

  Outcome Load(const char* name, const peft_state_dict_t* tensors,
               const std::string& config) {
    return Take(peft_model_load_adapter_from_memory(
        model_.get(), name, config.c_str(), tensors, nullptr, nullptr));
  }

  // A LoRA on all layers; `more` is put into its config.
  void LoadLoraOnAll(const char* name, int64_t rank,
                     const std::string& more = "") {
    OwnedStateDict tensors = LoraTensors({"q", "k", "c"}, rank);
    for (const Layer& layer : layers_) {
      const std::string prefix = std::string("base_model.model.") + layer.name;
      if (more.find("use_dora") != std::string::npos) {
        SetRandom(tensors.get(), prefix + ".lora_magnitude_vector",
                  {layer.out});
      }
      if (more.find("lora_bias") != std::string::npos) {
        SetRandom(tensors.get(), prefix + ".lora_B.bias", {layer.out});
      }
    }
    const Outcome outcome =
        Load(name, tensors.get(),
             R"({"peft_type": "LORA", "fan_in_fan_out": false, "lora_alpha": 16,
            "target_modules": ["q", "k", "c"], "r": )" +
                 std::to_string(rank) + more + "}");
    ASSERT_TRUE(outcome.ok()) << outcome;
  }

  // An IA3 that scales the outputs of q and k and the inputs of c.
  void LoadIa3OnAll(const char* name) {
    peft_state_dict_t* made = nullptr;
    ASSERT_PEFT_OK(peft_state_dict_create(&made));
    const OwnedStateDict tensors(made);
    SetRandom(made, "base_model.model.q.ia3_l", {40, 1});
    SetRandom(made, "base_model.model.k.ia3_l", {16, 1});
    SetRandom(made, "base_model.model.c.ia3_l", {1, kIn});
    const Outcome outcome =
        Load(name, made,
             R"({"peft_type": "IA3", "target_modules": ["q", "k", "c"],
                 "feedforward_modules": ["c"], "fan_in_fan_out": true})");
    ASSERT_TRUE(outcome.ok()) << outcome;
  }

  // A LoRA on k that replaces q.
  void LoadWithSavedQ(const char* name) {
    const OwnedStateDict tensors = LoraTensors({"k"}, 8);
    SetRandom(tensors.get(), "base_model.model.q.weight", {40, kIn});
    SetRandom(tensors.get(), "base_model.model.q.bias", {40});
    const Outcome outcome =
        Load(name, tensors.get(),
             R"({"peft_type": "LORA", "r": 8, "lora_alpha": 8,
                 "target_modules": ["k"], "modules_to_save": ["q"]})");
    ASSERT_TRUE(outcome.ok()) << outcome;
  }

  void LoadAdaLora(const char* name) {
    peft_state_dict_t* made = nullptr;
    ASSERT_PEFT_OK(peft_state_dict_create(&made));
    const OwnedStateDict tensors(made);
    for (const char* layer : {"q", "k"}) {
      const std::string prefix = std::string("base_model.model.") + layer;
      SetRandom(made, prefix + ".lora_A", {6, kIn});
      SetRandom(made, prefix + ".lora_B", {Find(layer).out, 6});
      SetRandom(made, prefix + ".lora_E", {6, 1});
    }
    const Outcome outcome =
        Load(name, made,
             R"({"peft_type": "ADALORA", "target_modules": ["q", "k"],
                 "init_r": 6, "target_r": 4, "lora_alpha": 8,
                 "total_step": 10})");
    ASSERT_TRUE(outcome.ok()) << outcome;
  }

  void SetActive(std::vector<const char*> names) {
    ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), names.data(),
                                          names.size(), nullptr));
  }

  Layer& Find(const std::string& name) {
    for (Layer& layer : layers_) {
      if (name == layer.name) return layer;
    }
    ADD_FAILURE() << name;
    return layers_[0];
  }

  // y of a layer on the CPU, in f32, from x and, of a delta, from what y holds.
  std::vector<float> OnCpu(bool is_delta, const Layer& layer,
                           const CudaMatrix& x, const CudaMatrix& y,
                           peft_run_layer_options_t options) {
    options.stream = nullptr;
    std::vector<float> result = y.values;
    const FloatView in(x.values.data(), x.sizes);
    const FloatView out(result.data(), y.sizes);
    const auto run =
        is_delta ? peft_layer_runner_add_delta : peft_layer_runner_run;
    EXPECT_PEFT_OK(run(cpu_.get(), layer.number, &in, &options, &out));
    return result;
  }

  Outcome OnCuda(bool is_delta, const Layer& layer, const CudaMatrix& x,
                 const CudaMatrix& y, const peft_run_layer_options_t& options) {
    const DeviceView in(x, dtype_);
    const DeviceView out(y, dtype_);
    const auto run =
        is_delta ? peft_layer_runner_add_delta : peft_layer_runner_run;
    return Take(run(cuda_.get(), layer.number, &in, &options, &out));
  }

  std::vector<float> Fetch(const CudaMatrix& matrix) {
    std::vector<char> bytes(matrix.bytes.size());
    machine_.Read(matrix.address, bytes.data(), bytes.size());
    std::vector<float> values(matrix.values.size());
    ConvertToF32(dtype_, bytes.data(), values.size(), values.data());
    return values;
  }

  // The device gives what the CPU does, but for the rounding of y and, where
  // numbers have 16 bits, of what stands between (T in cuBLASLt's products).
  void ExpectClose(const std::vector<float>& found,
                   const std::vector<float>& expected) const {
    ASSERT_EQ(found.size(), expected.size());
    float largest = 0;
    for (const float value : expected) {
      largest = std::max(largest, std::abs(value));
    }
    const float unit = dtype_ == DType::kF32    ? 1e-6f
                       : dtype_ == DType::kBF16 ? 0x1p-7f
                                                : 0x1p-10f;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], unit * largest) << "at " << i;
    }
  }

  // Runs a layer on both for `rows` rows and compares.
  void ExpectAsOnCpu(bool is_delta, const char* name, int64_t rows,
                     peft_run_layer_options_t options = kNoOptions) {
    SCOPED_TRACE(std::string(name) + (is_delta ? " delta, " : " whole, ") +
                 std::to_string(rows) + " rows");
    const Layer& layer = Find(name);
    const CudaMatrix x = Random({rows, kIn});
    const CudaMatrix y = Random({rows, layer.out});
    const std::vector<float> expected = OnCpu(is_delta, layer, x, y, options);
    const Outcome outcome = OnCuda(is_delta, layer, x, y, options);
    ASSERT_TRUE(outcome.ok()) << outcome;
    ExpectClose(Fetch(y), expected);
  }

  static constexpr peft_run_layer_options_t kNoOptions =
      PEFT_RUN_LAYER_OPTIONS_INIT;

  kernels::cuda::TestMachine machine_;
  std::mt19937 random_{20261126};
  DType dtype_ = DType::kF32;
  std::vector<Layer> layers_ = {{"q", 40, PEFT_LAYER_LINEAR, true},
                                {"k", 16},
                                {"c", 32, PEFT_LAYER_CONV1D_HF, true}};
  OwnedModel model_;
  OwnedRunner cpu_;
  OwnedRunner cuda_;

 private:
  void MakeModel() {
    std::vector<peft_layer_t> described;
    std::vector<std::unique_ptr<FloatView>> views;
    const auto add = [&](const char* name, int32_t kind) -> peft_layer_t& {
      described.push_back(PEFT_LAYER_INIT);
      described.back().name = name;
      described.back().kind = kind;
      return described.back();
    };
    for (Layer& layer : layers_) {
      layer.weight = layer.is_conv1d() ? Random({kIn, layer.out})
                                       : Random({layer.out, kIn});
      views.push_back(std::make_unique<FloatView>(layer.weight.values.data(),
                                                  layer.weight.sizes));
      peft_layer_t& one = add(layer.name, layer.kind);
      one.weight = &views.back()->view;
      if (!layer.has_bias) continue;
      layer.bias = Random({layer.out}).values;
      views.push_back(std::make_unique<FloatView>(
          layer.bias.data(), std::vector<int64_t>{layer.out}));
      one.bias = &views.back()->view;
    }
    const CudaMatrix table = Random({5, kIn});
    const FloatView table_view(table.values.data(), table.sizes);
    add("e", PEFT_LAYER_EMBEDDING).weight = &table_view.view;
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(
        peft_model_create(described.data(), described.size(), nullptr, &model));
    model_.reset(model);
    for (Layer& layer : layers_) {
      ASSERT_PEFT_OK(
          peft_model_find_layer(model, layer.name, -1, &layer.number));
    }
  }

  void SetWeight(const Layer& layer) {
    const DeviceView view(layer.weight, dtype_);
    ASSERT_PEFT_OK(
        peft_layer_runner_set_weight(cuda_.get(), layer.number, &view));
  }
};

}  // namespace peft

#endif  // PEFT_C_CUDA_HOST_MODEL_TEST_UTIL_H_
