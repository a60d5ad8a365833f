// A linear layer with a LoRA as PEFT runs it on libtorch: the layer, two more
// linears, a product with the scale and a sum.
#ifndef BENCHMARKS_TORCH_LINEAR_H_
#define BENCHMARKS_TORCH_LINEAR_H_

#include <cstdint>
#include <memory>

#include "kernels/view.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// Sets the threads of all that libtorch computes.
void SetTorchThreads(int threads);

// Activations and results are of the weights' type, as in a model that was
// opened in it. Thread-compatible.
class TorchLinear {
 public:
  // The views are used where they are. `x` has `rows` rows of f32.
  TorchLinear(DType dtype, const kernels::MatrixView& weight,
              const kernels::MatrixView& a, const kernels::MatrixView& b,
              float scale, const float* x, int64_t rows);
  ~TorchLinear();
  TorchLinear(TorchLinear&&) noexcept;

  void Run();
  // Element (row, col) of the last result.
  float At(int64_t row, int64_t col) const;

 private:
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace peft

#endif  // BENCHMARKS_TORCH_LINEAR_H_
