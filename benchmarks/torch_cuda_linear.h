// A linear layer with a LoRA on a GPU as PEFT runs it on libtorch: one kernel
// for each operation, forward and backward.
#ifndef BENCHMARKS_TORCH_CUDA_LINEAR_H_
#define BENCHMARKS_TORCH_CUDA_LINEAR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/cuda/driver_types.h"

namespace peft {

// Empty where libtorch can use a GPU, else why it cannot. Loads its CUDA part,
// which only its builds for CUDA have.
std::string LoadTorchCuda();

// Makes a new stream libtorch's current one, for this thread, and returns it.
kernels::cuda::StreamHandle UseNewTorchStream();

// All tensors are BF16 and random. Thread-compatible.
class TorchCudaLinear {
 public:
  TorchCudaLinear(int64_t rows, int64_t in, int64_t out, int64_t rank,
                  float scale);
  ~TorchCudaLinear();

  // Each puts its kernels on the current stream.
  void Base();
  void Forward();
  // Forward, and the gradients of A, B and x.
  void ForwardBackward();

 private:
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace peft

#endif  // BENCHMARKS_TORCH_CUDA_LINEAR_H_
