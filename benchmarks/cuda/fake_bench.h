// The benchmarks' device in tests: the fakes of the driver and of cuBLASLt, and
// our kernels as they are compiled for the CPU.
#ifndef BENCHMARKS_CUDA_FAKE_BENCH_H_
#define BENCHMARKS_CUDA_FAKE_BENCH_H_

#include <memory>
#include <optional>

#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/measurements.h"
#include "kernels/cuda/lt/testing/test_device.h"

namespace peft {

// One at a time in a process.
class FakeBench {
 public:
  FakeBench();

  // With this peer, or none.
  CudaBench With(MakeSide peer);
  kernels::cuda::TestDevice& device() { return *fakes_; }

 private:
  std::unique_ptr<kernels::cuda::TestDevice> fakes_;
  std::unique_ptr<kernels::cuda::Device> device_;
  std::unique_ptr<kernels::cuda::AdapterKernels> kernels_;
  std::unique_ptr<kernels::cuda::GpuTimer> timer_;
  std::optional<kernels::cuda::PlanCache> cache_;
  Numbers numbers_;
};

// Every kind of case, small.
SingleLayers SmallLayers();
DecodeSteps SmallSteps();

}  // namespace peft

#endif  // BENCHMARKS_CUDA_FAKE_BENCH_H_
