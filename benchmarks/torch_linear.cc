#include "benchmarks/torch_linear.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
#include <c10/core/InferenceMode.h>

namespace peft {
namespace {

at::ScalarType TypeOf(DType dtype) {
  return dtype == DType::kF32 ? at::kFloat : at::kBFloat16;
}

at::Tensor TensorOf(DType dtype, const kernels::MatrixView& view) {
  return at::from_blob(const_cast<void*>(view.data), {view.rows, view.cols},
                       {view.stride, 1}, TypeOf(dtype));
}

}  // namespace

struct TorchLinear::Tensors {
  at::Tensor weight, a, b, x, y;
  float scale;
};

void SetTorchThreads(int threads) { at::set_num_threads(threads); }

TorchLinear::TorchLinear(DType dtype, const kernels::MatrixView& weight,
                         const kernels::MatrixView& a,
                         const kernels::MatrixView& b, float scale,
                         const float* x, int64_t rows)
    : tensors_(std::make_unique<Tensors>()) {
  const c10::InferenceMode mode;
  tensors_->weight = TensorOf(dtype, weight);
  tensors_->a = TensorOf(dtype, a);
  tensors_->b = TensorOf(dtype, b);
  tensors_->x =
      at::from_blob(const_cast<float*>(x), {rows, weight.cols}, at::kFloat)
          .to(TypeOf(dtype));
  tensors_->scale = scale;
}

TorchLinear::~TorchLinear() = default;
TorchLinear::TorchLinear(TorchLinear&&) noexcept = default;

void TorchLinear::Run() {
  const c10::InferenceMode mode;
  Tensors& t = *tensors_;
  const at::Tensor base = at::linear(t.x, t.weight);
  t.y = at::add(base, at::mul(at::linear(at::linear(t.x, t.a), t.b), t.scale));
}

float TorchLinear::At(int64_t row, int64_t col) const {
  return tensors_->y[row][col].item<float>();
}

}  // namespace peft
