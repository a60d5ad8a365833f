// The peer: TorchLinears on the inputs that the other sides have.
#ifndef BENCHMARKS_CUDA_TORCH_SIDE_H_
#define BENCHMARKS_CUDA_TORCH_SIDE_H_

#include <functional>

#include "benchmarks/cuda/bench.h"
#include "kernels/cuda/driver_types.h"

namespace peft {

// Where libtorch finds the inputs.
struct TorchPlace {
  bool gpu = true;  // else it computes on the CPU
  // Its current stream.
  kernels::cuda::StreamHandle stream = nullptr;
  // Its address of `bytes` at an address of the device.
  std::function<void*(kernels::cuda::DevicePtr, int64_t)> address;
};

// For CudaBench::peer. With one adapter.
MakeSide TorchPeer(const TorchPlace& place);

}  // namespace peft

#endif  // BENCHMARKS_CUDA_TORCH_SIDE_H_
