// peft.hpp's runners on a CUDA device give what those on the CPU give.

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/driver_types.h"
#include "kernels/cuda/testing/test_machine.h"
#include "peft_c/peft.hpp"

namespace {

using peft::kernels::cuda::DevicePtr;
using peft::kernels::cuda::StreamHandle;

constexpr int64_t kRows = 3;
constexpr int64_t kIn = 24;
constexpr int64_t kOut = 16;

// Numbers without a pattern that a sum could hide.
std::vector<float> Values(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(std::sin(static_cast<float>(i * i + 1)));
  }
  return values;
}

std::optional<std::string> Path(const char* path) {
  if (path == nullptr) return std::nullopt;
  return path;
}

// A linear layer with adapters "a", which is active, and "b".
class PeftHppCuda : public testing::Test {
 protected:
  void SetUp() override {
    peft::Layer layer;
    layer.name = "fc";
    layer.kind = peft::LayerKind::kLinear;
    layer.weight = peft::TensorView::Of(weight_, {kOut, kIn});
    model_ = peft::OrThrow(peft::Model::Create({layer}));
    layer_ = peft::OrThrow(model_.FindLayer("fc"));
    for (const char* name : {"b", "a"}) {
      peft::AddAdapterOptions seed;
      seed.seed = static_cast<std::uint64_t>(name[0]);
      peft::OrThrow(model_.AddAdapter(
          name, R"({"peft_type": "LORA", "r": 4, "target_modules": ["fc"],
                    "init_lora_weights": false})",
          seed));
    }
    peft::OrThrow(model_.SetAdapter({"a"}));

    peft::CudaOptions options;
    options.dtype = options.adapter_dtype = peft::DType::kF32;
    options.driver_path = Path(machine_.driver_path());
    options.cublaslt_path = Path(machine_.cublaslt_path());
    options.kernels_path = Path(machine_.kernels_path());
    cuda_ = peft::OrThrow(peft::LayerRunner::CreateCuda(model_, options));
    peft::OrThrow(cuda_.SetWeight(layer_, OnDevice(weight_, {kOut, kIn})));
    ASSERT_EQ(machine_->cuStreamCreate(&stream_, 1), 0);
    run_.stream = stream_;
  }
  void TearDown() override {
    cuda_ = peft::LayerRunner();
    EXPECT_EQ(machine_->cuStreamDestroy_v2(stream_), 0);
  }

  peft::TensorView OnDevice(const std::vector<float>& values,
                            std::vector<int64_t> sizes) {
    const size_t size = values.size() * sizeof(float);
    const DevicePtr address = machine_.Allocate(size);
    machine_.Write(address, values.data(), size);
    return peft::TensorView::OnCuda(reinterpret_cast<const void*>(address),
                                    peft::DType::kF32, std::move(sizes));
  }

  void ExpectNear(const peft::TensorView& found,
                  const std::vector<float>& expected) {
    std::vector<float> values(expected.size());
    machine_.Read(reinterpret_cast<DevicePtr>(found.data), values.data(),
                  values.size() * sizeof(float));
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], expected[i], 1e-4f) << i;
    }
  }

  std::vector<float> OnCpu(const peft::RunLayerOptions& options = {}) {
    const auto y = peft::OrThrow(
        model_.RunLayer("fc", peft::TensorView::Of(x_, {kRows, kIn}), options));
    return *peft::OrThrow(y.View()).Copy<float>();
  }

  peft::kernels::cuda::TestMachine machine_;
  const std::vector<float> weight_ = Values(kOut * kIn);
  const std::vector<float> x_ = Values(kRows * kIn);
  peft::Model model_;
  int64_t layer_ = 0;
  peft::LayerRunner cuda_;
  StreamHandle stream_ = nullptr;
  peft::RunLayerOptions run_;
};

TEST_F(PeftHppCuda, ARunnerWritesToTheDevice) {
  const auto x = OnDevice(x_, {kRows, kIn});
  const auto y = OnDevice(Values(kRows * kOut), {kRows, kOut});
  peft::OrThrow(cuda_.Run(layer_, x, y, run_));
  ExpectNear(y, OnCpu());
}

TEST_F(PeftHppCuda, ADeltaIsAddedOnTheDevice) {
  peft::RunLayerOptions base;
  base.activations = {nullptr};
  const auto x = OnDevice(x_, {kRows, kIn});
  const auto y = OnDevice(OnCpu(base), {kRows, kOut});
  peft::OrThrow(cuda_.AddDelta(layer_, x, y, run_));
  ExpectNear(y, OnCpu());
}

TEST_F(PeftHppCuda, MemoryOfTheProcessIsRefused) {
  std::vector<float> y(kRows * kOut);
  const auto status = cuda_.Run(layer_, OnDevice(x_, {kRows, kIn}),
                                peft::TensorView::Of(y, {kRows, kOut}), run_);
  EXPECT_EQ(status.subject(), "y.device_type");
}

TEST_F(PeftHppCuda, AnUpdateReachesACapturedCall) {
  const auto x = OnDevice(x_, {kRows, kIn});
  const auto y = OnDevice(Values(kRows * kOut), {kRows, kOut});
  peft::OrThrow(cuda_.Run(layer_, x, y, run_));
  peft::kernels::cuda::GraphHandle graph = nullptr;
  peft::kernels::cuda::GraphExecHandle exec = nullptr;
  ASSERT_EQ(machine_->cuStreamBeginCapture_v2(
                stream_, peft::kernels::cuda::kCaptureThreadLocal),
            0);
  peft::OrThrow(cuda_.Run(layer_, x, y, run_));
  ASSERT_EQ(machine_->cuStreamEndCapture(stream_, &graph), 0);
  ASSERT_EQ(machine_->cuGraphInstantiateWithFlags(&exec, graph, 0), 0);
  EXPECT_EQ(machine_->cuGraphDestroy(graph), 0);
  peft::OrThrow(model_.SetAdapter({"b"}));
  peft::OrThrow(cuda_.Update(stream_));
  ASSERT_EQ(machine_->cuGraphLaunch(exec, stream_), 0);
  ExpectNear(y, OnCpu());
  EXPECT_EQ(machine_->cuGraphExecDestroy(exec), 0);
}

}  // namespace
