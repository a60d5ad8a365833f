#include "benchmarks/cuda/fake_bench.h"

#include <utility>

#include "gtest/gtest.h"
#include "kernels/cuda/testing/emulated_kernels.h"
#include "kernels/cuda/testing/fake_cuda.h"

namespace peft {

using kernels::cuda::AdapterKernels;
using kernels::cuda::Device;
using kernels::cuda::FakeCudaOptions;
using kernels::cuda::GpuTimer;
using kernels::cuda::GpuTimerOptions;
using kernels::cuda::LtSettings;
using kernels::cuda::TestDevice;

FakeBench::FakeBench() {
  FakeCudaOptions options;
  options.kernels = &kernels::cuda::EmulatedKernels();
  options.memory = 64 << 20;
  auto settings = TestDevice::FakeSettings();
  settings.version = 130400;  // one with products of groups
  fakes_ = TestDevice::Fake(options, settings);
  device_ = Device::Open(fakes_->driver(), 0).value();
  kernels_ = AdapterKernels::Load(*device_, "any image").value();
  GpuTimerOptions timer_options;
  timer_options.repeats = 1;
  timer_options.flush_bytes = 1024;
  LtSettings lt_settings;
  lt_settings.workspace_bytes = 1 << 20;
  timer_ = GpuTimer::Create(*device_, lt_settings, timer_options).value();
  cache_.emplace(fakes_->handle(), lt_settings);
}

CudaBench FakeBench::With(MakeSide peer) {
  return {*device_, *kernels_, *cache_, *timer_, numbers_, std::move(peer)};
}

SingleLayers SmallLayers() {
  SingleLayers layers;
  layers.sizes = {{64, 30}, {72, 12}};
  layers.ranks = {16};
  layers.rows = {1, 16, 40};
  layers.training_rows = 16;
  return layers;
}

DecodeSteps SmallSteps() {
  DecodeSteps steps;
  steps.layers = 2;
  steps.hidden = 64;
  steps.intermediate = 88;
  steps.rank = 8;
  steps.rows = {1, 17};
  steps.batch = 4;
  return steps;
}

}  // namespace peft
