// Layers on libtorch as PEFT runs them: one kernel for each operation, and
// autograd for the gradients.
#ifndef BENCHMARKS_CUDA_TORCH_LINEARS_H_
#define BENCHMARKS_CUDA_TORCH_LINEARS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/driver_types.h"

namespace peft {

// A matrix of BF16 without gaps.
struct TorchMatrix {
  void* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
};

// One layer with its adapter.
struct TorchLayer {
  TorchMatrix weight;  // (out, in)
  TorchMatrix a;       // (rank, in)
  TorchMatrix b;       // (out, rank)
};

struct TorchSpec {
  // Where the matrices are: on the first GPU, else on the CPU.
  bool gpu = true;
  TorchMatrix x;  // (rows, in)
  std::vector<TorchLayer> layers;
  float scale = 1;
  TorchMatrix dy;  // of the first layer; none without gradients
};

// Empty where libtorch can use a GPU, else why it cannot. Loads its CUDA part,
// which only its builds for CUDA have.
std::string LoadTorchCuda();

// Makes a new stream libtorch's current one, for this thread, and returns it.
kernels::cuda::StreamHandle UseNewTorchStream();

// Thread-compatible. Its functions throw what libtorch throws.
class TorchLinears {
 public:
  // Uses the matrices where they are.
  explicit TorchLinears(const TorchSpec& spec);
  ~TorchLinears();

  // Each puts its kernels on the current stream.
  void Base();
  void Forward();
  // Forward, and the gradients of the first layer's A, B and x.
  void ForwardBackward();

  // A number of what was computed last, for which it waits.
  float Y(int output, int64_t row, int64_t col) const;
  // Of the gradients of A, B and x, in this order.
  float Gradient(int index, int64_t row, int64_t col) const;

 private:
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_TORCH_LINEARS_H_
