#include "benchmarks/cuda/torch_linears.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mul.h>
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

at::TensorOptions Options(const c10::Device& device) {
  return at::TensorOptions().dtype(at::kBFloat16).device(device);
}

at::Tensor TensorOf(const TorchMatrix& matrix, const c10::Device& device) {
  return at::for_blob(matrix.data, {matrix.rows, matrix.cols})
      .options(Options(device))
      .target_device(device)
      .make_tensor();
}

float NumberOf(const at::Tensor& matrix, int64_t row, int64_t col) {
  return matrix[row][col].item<float>();
}

// What PEFT computes of x W^T and the adapter.
at::Tensor Adapted(const at::Tensor& base, const at::Tensor& x,
                   const at::Tensor& a, const at::Tensor& b, float scale) {
  return at::add(base, at::mul(at::linear(at::linear(x, a), b), scale));
}

}  // namespace

std::string LoadTorchCuda() {
  const std::string path = TorchFolder() + "libtorch_cuda.so";
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* const reason = dlerror();
    return reason == nullptr ? path : reason;
  }
  try {
    at::empty({1}, Options(FirstGpu()));
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

struct TorchLinears::Tensors {
  struct Layer {
    at::Tensor weight, a, b;
    at::Tensor y;  // what was computed last
  };
  at::Tensor x, dy;
  std::vector<Layer> layers;
  float scale = 1;
};

TorchLinears::TorchLinears(const TorchSpec& spec)
    : tensors_(std::make_unique<Tensors>()) {
  const c10::Device device = spec.gpu ? FirstGpu() : c10::Device(c10::kCPU);
  const auto tensor = [&](const TorchMatrix& matrix) {
    return TensorOf(matrix, device);
  };
  tensors_->scale = spec.scale;
  tensors_->x = tensor(spec.x);
  for (const TorchLayer& layer : spec.layers) {
    tensors_->layers.push_back(
        {tensor(layer.weight), tensor(layer.a), tensor(layer.b), {}});
  }
  if (spec.dy.data == nullptr) return;
  tensors_->dy = tensor(spec.dy);
  tensors_->x.requires_grad_(true);
  tensors_->layers[0].a.requires_grad_(true);
  tensors_->layers[0].b.requires_grad_(true);
}

TorchLinears::~TorchLinears() = default;

void TorchLinears::Base() {
  const c10::InferenceMode mode;
  for (auto& layer : tensors_->layers) {
    layer.y = at::linear(tensors_->x, layer.weight);
  }
}

void TorchLinears::Forward() {
  const c10::InferenceMode mode;
  const at::Tensor& x = tensors_->x;
  for (auto& layer : tensors_->layers) {
    layer.y = Adapted(at::linear(x, layer.weight), x, layer.a, layer.b,
                      tensors_->scale);
  }
}

void TorchLinears::ForwardBackward() {
  at::Tensor& x = tensors_->x;
  auto& layer = tensors_->layers[0];
  // As an optimizer's zero_grad leaves them: backward adds to what is there.
  for (at::Tensor* const tensor : {&layer.a, &layer.b, &x}) {
    tensor->mutable_grad() = at::Tensor();
  }
  layer.y = Adapted(at::linear(x, layer.weight), x, layer.a, layer.b,
                    tensors_->scale);
  layer.y.backward(tensors_->dy);
}

float TorchLinears::Y(int output, int64_t row, int64_t col) const {
  return NumberOf(tensors_->layers[output].y, row, col);
}

float TorchLinears::Gradient(int index, int64_t row, int64_t col) const {
  const auto& layer = tensors_->layers[0];
  const at::Tensor* const tensors[] = {&layer.a, &layer.b, &tensors_->x};
  return NumberOf(tensors[index]->grad(), row, col);
}

}  // namespace peft
