#include "kernels/nn.h"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/quantize.h"

namespace peft {
namespace kernels {
namespace {

// Floats of one piece of work: some microseconds.
constexpr int64_t kPieceFloats = 16 * 1024;

const char* RowOf(const MatrixView& matrix, int64_t row) {
  const int64_t size = matrix.dtype == DType::kF32 ? 4 : 2;
  return static_cast<const char*>(matrix.data) + row * matrix.stride * size;
}

// Calls run(row) for every row, several rows to a piece.
void ForEachRow(int64_t rows, int64_t cols, ThreadPool& pool,
                absl::FunctionRef<void(int64_t)> run) {
  const int64_t at_once =
      std::max<int64_t>(1, kPieceFloats / std::max<int64_t>(1, cols));
  pool.ParallelFor((rows + at_once - 1) / at_once, [&](int64_t piece) {
    const int64_t last = std::min(rows, (piece + 1) * at_once);
    for (int64_t row = piece * at_once; row < last; ++row) run(row);
  });
}

void (*PlainKernelOf(Activation activation))(const float*, int64_t, float*) {
  const cpu::KernelTable& kernels = cpu::Kernels();
  switch (activation) {
    case Activation::kSilu:
      return kernels.silu;
    case Activation::kGelu:
      return kernels.gelu;
    case Activation::kGeluTanh:
      return kernels.gelu_tanh;
    case Activation::kTanh:
      return kernels.tanh;
    case Activation::kRelu:
      break;
  }
  return kernels.relu;
}

using GatedKernel = void (*)(const float*, const float*, int64_t, float*);

GatedKernel KernelOf(Activation activation) {
  const cpu::KernelTable& kernels = cpu::Kernels();
  switch (activation) {
    case Activation::kSilu:
      return kernels.gated_silu;
    case Activation::kGelu:
      return kernels.gated_gelu;
    case Activation::kGeluTanh:
      return kernels.gated_gelu_tanh;
    case Activation::kTanh:
      return kernels.gated_tanh;
    case Activation::kRelu:
      break;
  }
  return kernels.gated_relu;
}

}  // namespace

void Embed(const MatrixView& table, const int64_t* ids, Rows y,
           ThreadPool& pool) {
  if (table.codes != nullptr) {
    ForEachRow(y.rows, y.cols, pool, [&](int64_t row) {
      Dequantize(table, ids[row] * y.cols, y.cols, y.data + row * y.stride);
    });
    return;
  }
  const cpu::Elem elem = ElemOf(table.dtype);
  ForEachRow(y.rows, y.cols, pool, [&](int64_t row) {
    cpu::Kernels().to_f32(elem, RowOf(table, ids[row]), y.cols,
                          y.data + row * y.stride);
  });
}

void RmsNorm(ConstRows x, const VectorView& weight, float epsilon, Rows y,
             ThreadPool& pool) {
  assert(weight.size > 0 && x.cols % weight.size == 0);
  const cpu::Elem elem = ElemOf(weight.dtype);
  ForEachRow(x.rows, x.cols, pool, [&](int64_t row) {
    const float* const from = x.data + row * x.stride;
    float* const to = y.data + row * y.stride;
    for (int64_t i = 0; i < x.cols; i += weight.size) {
      cpu::Kernels().rms_norm(from + i, elem, weight.data, weight.size, epsilon,
                              to + i);
    }
  });
}

void LayerNorm(ConstRows x, const VectorView& weight, const VectorView& bias,
               float epsilon, Rows y, ThreadPool& pool) {
  assert(weight.size == x.cols);
  const cpu::Elem weight_elem = ElemOf(weight.dtype);
  const cpu::Elem bias_elem =
      bias.data == nullptr ? cpu::kElemF32 : ElemOf(bias.dtype);
  ForEachRow(x.rows, x.cols, pool, [&](int64_t row) {
    cpu::Kernels().layer_norm(x.data + row * x.stride, weight_elem, weight.data,
                              bias_elem, bias.data, x.cols, epsilon,
                              y.data + row * y.stride);
  });
}

void Rope(Rows x, int64_t head_dim, ConstRows cos_table, ConstRows sin_table,
          ThreadPool& pool) {
  assert(head_dim > 0 && head_dim % 2 == 0 && x.cols % head_dim == 0);
  ForEachRow(x.rows, x.cols, pool, [&](int64_t row) {
    float* const head = x.data + row * x.stride;
    const float* const cos = cos_table.data + row * cos_table.stride;
    const float* const sin = sin_table.data + row * sin_table.stride;
    for (int64_t i = 0; i < x.cols; i += head_dim) {
      cpu::Kernels().rotate(head + i, head_dim / 2, cos, sin);
    }
  });
}

void Activate(Activation activation, ConstRows x, Rows y, ThreadPool& pool) {
  const auto kernel = PlainKernelOf(activation);
  ForEachRow(y.rows, y.cols, pool, [&](int64_t row) {
    kernel(x.data + row * x.stride, y.cols, y.data + row * y.stride);
  });
}

void GatedActivation(Activation activation, ConstRows gate, ConstRows up,
                     Rows y, ThreadPool& pool) {
  const GatedKernel kernel = KernelOf(activation);
  ForEachRow(y.rows, y.cols, pool, [&](int64_t row) {
    kernel(gate.data + row * gate.stride, up.data + row * up.stride, y.cols,
           y.data + row * y.stride);
  });
}

void AddRows(ConstRows x, Rows y, ThreadPool& pool) {
  ForEachRow(y.rows, y.cols, pool, [&](int64_t row) {
    cpu::Kernels().add(x.data + row * x.stride, y.cols,
                       y.data + row * y.stride);
  });
}

int64_t Argmax(const float* values, int64_t n) {
  return cpu::Kernels().argmax(values, n);
}

}  // namespace kernels
}  // namespace peft
