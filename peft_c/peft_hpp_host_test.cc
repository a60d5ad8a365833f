// peft.hpp's host models, and what a program lends the library: threads, files.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft.hpp"

namespace {

constexpr char kBase[] = "examples/quickstart/base/";
constexpr char kGerman[] = "examples/quickstart/adapters/german/";

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A model of one linear layer (2, 3) with a LoRA adapter of rank 1.
class PeftHppHost : public testing::Test {
 protected:
  void SetUp() override {
    peft::Layer layer;
    layer.name = "fc";
    layer.kind = peft::LayerKind::kLinear;
    layer.weight = peft::TensorView::Of(weight_, {2, 3});
    model_ = peft::OrThrow(peft::Model::Create({layer}));
    auto tensors = peft::OrThrow(peft::StateDict::Create());
    const std::string prefix = "base_model.model.fc.lora_";
    const std::vector<float> a = {1, 1, 1};
    const std::vector<float> b = {1, 2};
    peft::OrThrow(
        tensors.Set(prefix + "A.weight", peft::TensorView::Of(a, {1, 3})));
    peft::OrThrow(
        tensors.Set(prefix + "B.weight", peft::TensorView::Of(b, {2, 1})));
    peft::OrThrow(model_.LoadAdapterFromMemory(
        "a", R"({"peft_type": "LORA", "r": 1, "lora_alpha": 10,
                 "target_modules": ["fc"]})",
        tensors));
    layer_ = peft::OrThrow(model_.FindLayer("fc"));
  }

  std::vector<float> weight_ = {1, 2, 3, 4, 5, 6};
  std::vector<float> ones_ = {1, 1, 1};
  peft::Model model_;
  int64_t layer_ = 0;
};

TEST_F(PeftHppHost, ARunnerWritesToTheProgramsMemory) {
  auto runner = peft::OrThrow(peft::LayerRunner::Create(model_));
  std::vector<float> y(2);
  const auto x_view = peft::TensorView::Of(ones_, {1, 3});
  const auto y_view = peft::TensorView::Of(y, {1, 2});
  peft::OrThrow(runner.Run(layer_, x_view, y_view));
  EXPECT_EQ(y, (std::vector<float>{36, 75}));
  y = {6, 15};
  peft::OrThrow(runner.AddDelta(layer_, x_view, y_view));
  EXPECT_EQ(y, (std::vector<float>{36, 75}));
  peft::RunLayerOptions base;
  base.activations = {nullptr};
  peft::OrThrow(runner.Run(layer_, x_view, y_view, base));
  EXPECT_EQ(y, (std::vector<float>{6, 15}));
  EXPECT_EQ(runner.Run(layer_, x_view, peft::TensorView::Of(y, {2, 2})).id(),
            "ARGUMENT");
}

TEST_F(PeftHppHost, ARunnerOnCudaNeedsADriver) {
  peft::CudaOptions options;
  options.driver_path = "/no/driver";
  EXPECT_EQ(peft::LayerRunner::CreateCuda(model_, options).status().id(),
            "CUDA_DRIVER");
  options.dtype = peft::DType::kI32;
  EXPECT_EQ(peft::LayerRunner::CreateCuda(model_, options).status().id(),
            "ARGUMENT");
}

TEST_F(PeftHppHost, ARunnerOnTheCpuRefusesWhatIsOfCuda) {
  auto runner = peft::OrThrow(peft::LayerRunner::Create(model_));
  std::vector<float> y = {7, 7};
  const auto x_view = peft::TensorView::Of(ones_, {1, 3});
  const auto y_view = peft::TensorView::Of(y, {1, 2});
  peft::RunLayerOptions options;
  options.stream = &y;
  EXPECT_EQ(runner.Run(layer_, x_view, y_view, options).id(), "ARGUMENT");
  const auto device =
      peft::TensorView::OnCuda(y.data(), peft::DType::kF32, {1, 2});
  EXPECT_EQ(runner.Run(layer_, x_view, device).id(), "ARGUMENT");
  EXPECT_EQ(y, (std::vector<float>{7, 7}));
  EXPECT_EQ(runner.SetWeight(layer_, device).id(), "ARGUMENT");
  EXPECT_EQ(runner.Update().id(), "ARGUMENT");
}

TEST(PeftHppTensorView, IsNotReadOnADevice) {
  const std::vector<float> values = {1, 2};
  const auto view =
      peft::TensorView::OnCuda(values.data(), peft::DType::kF32, {2}, 1);
  EXPECT_EQ(view.device_index, 1);
  EXPECT_FALSE(view.As<float>());
  EXPECT_FALSE(view.Copy<float>());
}

TEST_F(PeftHppHost, LoweredAdaptersAreForms) {
  const auto lowered = peft::OrThrow(model_.LowerLayer(layer_));
  ASSERT_EQ(lowered.Size(), 1u);
  const peft::Form form = peft::OrThrow(lowered.GetForm(0));
  EXPECT_EQ(form.kind, peft::FormKind::kLowRank);
  EXPECT_EQ(form.scale, 10);
  EXPECT_EQ(
      peft::OrThrow(lowered.GetTensor(0, peft::FormTensor::kB)).Copy<float>(),
      (std::vector<float>{1, 2}));
  EXPECT_EQ(lowered.GetTensor(0, peft::FormTensor::kBias).status().id(),
            "TENSOR_MISSING");
  EXPECT_EQ(lowered.GetForm(1).status().id(), "ARGUMENT");
  const auto base = peft::OrThrow(model_.CreateActivation({}));
  EXPECT_EQ(peft::OrThrow(model_.LowerLayer(layer_, &base)).Size(), 0u);
}

TEST_F(PeftHppHost, LayersAreFoundByName) {
  EXPECT_EQ(model_.FindLayer("nothing").status().id(), "LAYER_NOT_FOUND");
}

TEST(PeftHppFiles, AModelAndAnAdapterOfMemory) {
  const std::string config = Read(std::string(kBase) + "config.json");
  const std::string weights = Read(std::string(kBase) + "model.safetensors");
  peft::ModelOptions options;
  options.files = {peft::File::Memory("config.json", config),
                   peft::File::Memory("model.safetensors", weights)};
  auto model = peft::OrThrow(peft::Model::Open(nullptr, options));
  EXPECT_EQ(peft::OrThrow(model.Info()).model_type, "llama");

  const std::string folder = kGerman;
  const std::string adapter_config = Read(folder + "adapter_config.json");
  const std::string tensors = Read(folder + "adapter_model.safetensors");
  const auto read = [&](int64_t offset, void* buffer, int64_t size) {
    std::memcpy(buffer, tensors.data() + offset, size);
    return size;
  };
  peft::LoadOptions load;
  load.files = {peft::File::Memory("adapter_config.json", adapter_config),
                peft::File::Reader("adapter_model.safetensors",
                                   static_cast<int64_t>(tensors.size()), read)};
  peft::OrThrow(model.LoadAdapter("german", nullptr, load));
  EXPECT_TRUE(peft::OrThrow(model.HasAdapter("german")));
  EXPECT_EQ(peft::OrThrow(peft::EstimateFiles(load.files)).file_bytes,
            static_cast<int64_t>(tensors.size()));
  EXPECT_NE(peft::OrThrow(peft::InspectFiles(load.files)).find("LORA"),
            std::string::npos);
}

TEST(PeftHppFiles, AnAdapterOfAPartOfAFile) {
  auto model = peft::OrThrow(peft::Model::Open(kBase));
  const std::string folder = kGerman;
  const std::string config = Read(folder + "adapter_config.json");
  const std::string tensors = Read(folder + "adapter_model.safetensors");
  std::FILE* const package = std::tmpfile();
  ASSERT_NE(package, nullptr);
  std::fputs("something else", package);
  std::fwrite(tensors.data(), 1, tensors.size(), package);
  std::fflush(package);
  peft::LoadOptions load;
  load.files = {peft::File::Memory("adapter_config.json", config),
                peft::File::Fd("adapter_model.safetensors", fileno(package), 14,
                               static_cast<int64_t>(tensors.size()))};
  peft::OrThrow(model.LoadAdapter("german", nullptr, load));
  std::fclose(package);
  EXPECT_EQ(peft::OrThrow(model.GetAdapterInfo()).peft_type, "LORA");
}

TEST(PeftHppThreadPool, WorksForAModel) {
  std::atomic<int64_t> pieces = 0;
  peft::ThreadPool pool;
  pool.num_threads = 2;
  pool.parallel_for = [&](int64_t num_pieces, peft::Piece piece) {
    for (int64_t i = 0; i < num_pieces; ++i) piece(i);
    pieces += num_pieces;
    return true;
  };
  peft::ModelOptions options;
  options.thread_pool = &pool;
  const auto model = peft::OrThrow(peft::Model::Open(kBase, options));
  auto session = peft::OrThrow(peft::Session::Create(model));
  const std::vector<int64_t> prompt(64, 7);
  peft::OrThrow(session.Forward({prompt}));
  EXPECT_GT(pieces, 0);
  pool.parallel_for = [](int64_t, peft::Piece) { return false; };
  peft::OrThrow(session.Reset());
  EXPECT_EQ(session.Forward({prompt}).id(), "THREAD_POOL");
}

TEST(PeftHppLogger, DropsLinesBelowItsLevel) {
  int lines = 0;
  peft::SetLogger([&](peft::LogLevel, std::string_view) { ++lines; });
  peft_state_dict_t* const handle =
      peft::OrThrow(peft::StateDict::Create()).release();
  peft_state_dict_free(handle);
  peft::OrThrow(peft::SetLogLevel(peft::LogLevel::kError));
  peft_state_dict_free(handle);
  EXPECT_EQ(lines, 0);
  peft::OrThrow(peft::SetLogLevel(peft::LogLevel::kInfo));
  peft_state_dict_free(handle);
  EXPECT_EQ(lines, 1);
  peft::SetLogger(nullptr);
}

// The whole process's memory would come from it: libpeft.so has a test of that.
TEST(PeftHppAllocator, IsRefusedAfterOtherCalls) {
  EXPECT_TRUE(peft::StateDict::Create().ok());
  peft::Allocator allocator;
  allocator.allocate = [](std::size_t, std::size_t) -> void* {
    return nullptr;
  };
  allocator.deallocate = [](void*, std::size_t, std::size_t) {};
  EXPECT_EQ(peft::SetAllocator(allocator).id(), "ALLOCATOR");
}

}  // namespace
