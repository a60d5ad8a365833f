#include "benchmarks/torch_cuda_linear.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <exception>

namespace peft {
namespace {

c10::Device FirstGpu() { return {c10::kCUDA, 0}; }

// The folder of the libtorch that this program is linked to, behind all links.
std::string TorchFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&at::_ops::linear::call), &info) == 0)
    return "";
  char* const path = realpath(info.dli_fname, nullptr);
  const std::string file = path == nullptr ? "" : path;
  std::free(path);
  return file.substr(0, file.rfind('/') + 1);
}

at::Tensor Random(int64_t rows, int64_t cols) {
  const auto options =
      at::TensorOptions().dtype(at::kBFloat16).device(FirstGpu());
  return at::rand({rows, cols}, options);
}

}  // namespace

std::string LoadTorchCuda() {
  const std::string path = TorchFolder() + "libtorch_cuda.so";
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* const reason = dlerror();
    return reason == nullptr ? path : reason;
  }
  try {
    Random(1, 1);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

kernels::cuda::StreamHandle UseNewTorchStream() {
  const c10::impl::VirtualGuardImpl guard(c10::kCUDA);
  const c10::Stream stream = guard.getStreamFromGlobalPool(FirstGpu());
  guard.exchangeStream(stream);
  return static_cast<kernels::cuda::StreamHandle>(stream.native_handle());
}

struct TorchCudaLinear::Tensors {
  at::Tensor x, weight, a, b, dy;
  float scale;
  // What was computed last.
  at::Tensor t, y, da, db, dx;
};

TorchCudaLinear::TorchCudaLinear(int64_t rows, int64_t in, int64_t out,
                                 int64_t rank, float scale)
    : tensors_(std::make_unique<Tensors>()) {
  const c10::InferenceMode mode;
  tensors_->x = Random(rows, in);
  tensors_->weight = Random(out, in);
  tensors_->a = Random(rank, in);
  tensors_->b = Random(out, rank);
  tensors_->dy = Random(rows, out);
  tensors_->scale = scale;
}

TorchCudaLinear::~TorchCudaLinear() = default;

void TorchCudaLinear::Base() {
  const c10::InferenceMode mode;
  tensors_->y = at::linear(tensors_->x, tensors_->weight);
}

void TorchCudaLinear::Forward() {
  const c10::InferenceMode mode;
  Tensors& s = *tensors_;
  const at::Tensor base = at::linear(s.x, s.weight);
  s.t = at::linear(s.x, s.a);
  s.y = at::add(base, at::mul(at::linear(s.t, s.b), s.scale));
}

void TorchCudaLinear::ForwardBackward() {
  const c10::InferenceMode mode;
  Forward();
  // What autograd launches for Forward, in its order.
  Tensors& s = *tensors_;
  const at::Tensor scaled = at::mul(s.dy, s.scale);
  s.db = at::matmul(scaled.t(), s.t);
  const at::Tensor dt = at::matmul(scaled, s.b);
  s.da = at::matmul(dt.t(), s.x);
  const at::Tensor dx = at::matmul(dt, s.a);
  s.dx = at::add(dx, at::matmul(s.dy, s.weight));
}

}  // namespace peft
