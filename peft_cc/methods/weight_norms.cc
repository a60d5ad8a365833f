#include "peft_cc/methods/weight_norms.h"

#include <algorithm>
#include <cstdint>

#include "kernels/linear.h"
#include "kernels/linear_plan.h"
#include "kernels/view.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace {

// An embedding's table has its inputs first too, taken as a linear layer on
// one-hot inputs. A convolution is a linear layer on its columns.
bool HasInputsFirst(const Layer& layer) {
  return layer.kind == SiteKind::kConv1D || layer.kind == SiteKind::kEmbedding;
}

bool IsStoredInOut(const Layer& layer) {
  return HasInputsFirst(layer) != layer.weight.is_by_columns();
}

// Squares of one row of the stored weight are added up in out[0], or with
// `each` element by element.
void AddSquares(const float* row, int64_t count, bool each, double* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[each ? i : 0] += double{row[i]} * row[i];
  }
}

// A W^T, (r, out): a forward of A's rows through the layer.
std::vector<float> ThroughLayer(const Layer& layer, const std::vector<float>& a,
                                int64_t r, kernels::ThreadPool& pool) {
  kernels::LinearPlan plan;
  plan.transposed = IsStoredInOut(layer);
  plan.weight = layer.weight.Stored().AsMatrix();
  std::vector<float> product(r * layer.out_features);
  std::vector<float> workspace(kernels::LinearWorkspaceFloats(plan, r));
  kernels::RunLinear(
      plan, {a.data(), r, layer.in_features, layer.in_features},
      {product.data(), r, layer.out_features, layer.out_features},
      workspace.data(), pool);
  return product;
}

// A A^T, (r, r).
std::vector<double> Gram(const std::vector<float>& a, int64_t r, int64_t in,
                         kernels::ThreadPool& pool) {
  std::vector<double> gram(r * r);
  pool.ParallelFor(r, [&](int64_t i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < in; ++k) {
        sum += double{a[i * in + k]} * a[j * in + k];
      }
      gram[i * r + j] = gram[j * r + i] = sum;
    }
  });
  return gram;
}

// True where W and B A of an output are so nearly parallel that at some scale
// their sum is much smaller than either: a product of f32 does not show it.
bool MayCancel(double weight, double cross, double delta) {
  constexpr double kShare = 1.0 / 64;
  return cross * cross > (1 - kShare) * weight * delta;
}

double WeightAt(const Layer& layer, int64_t out, int64_t in) {
  float value = 0;
  layer.weight.CopyF32(HasInputsFirst(layer) ? in * layer.out_features + out
                                             : out * layer.in_features + in,
                       1, &value);
  return value;
}

// The terms of output `out`, whose row of B is `b`, in double throughout.
void Refine(const Layer& layer, const std::vector<float>& a, const float* b,
            int64_t r, int64_t out, WeightNorms& norms) {
  norms.cross[out] = norms.delta[out] = 0;
  for (int64_t in = 0; in < layer.in_features; ++in) {
    double delta = 0;
    for (int64_t i = 0; i < r; ++i) {
      delta += double{b[i]} * a[i * layer.in_features + in];
    }
    norms.cross[out] += WeightAt(layer, out, in) * delta;
    norms.delta[out] += delta * delta;
  }
}

}  // namespace

std::vector<double> SquaredWeightNorms(const Layer& layer,
                                       kernels::ThreadPool& pool) {
  constexpr int64_t kBlock = 64;  // outputs that one piece sums
  const bool in_out = IsStoredInOut(layer);
  const Tensor stored = layer.weight.Stored();
  const int64_t out = layer.out_features;
  std::vector<double> norms(out);
  pool.ParallelFor((out + kBlock - 1) / kBlock, [&](int64_t piece) {
    const int64_t begin = piece * kBlock;
    const int64_t count = std::min(kBlock, out - begin);
    // Of one stored row: all inputs of an output, or these outputs of an input.
    const int64_t width = in_out ? count : layer.in_features;
    std::vector<float> row(width);
    for (int64_t i = 0; i < (in_out ? layer.in_features : count); ++i) {
      const int64_t first =
          in_out ? i * out + begin : (begin + i) * layer.in_features;
      stored.CopyF32(first, width, row.data());
      AddSquares(row.data(), width, in_out,
                 norms.data() + begin + (in_out ? 0 : i));
    }
  });
  return norms;
}

WeightNorms ComputeWeightNorms(const Layer& layer, const Tensor& a,
                               const Tensor& b, kernels::ThreadPool& pool) {
  const int64_t r = a.dim(0);
  const std::vector<float> a_values = a.ToF32();
  const std::vector<float> b_values = b.ToF32();
  const std::vector<float> through = ThroughLayer(layer, a_values, r, pool);
  const std::vector<double> gram = Gram(a_values, r, layer.in_features, pool);
  WeightNorms norms;
  norms.weight = SquaredWeightNorms(layer, pool);
  norms.cross.resize(layer.out_features);
  norms.delta.resize(layer.out_features);
  for (int64_t o = 0; o < layer.out_features; ++o) {
    const float* row = b_values.data() + o * r;
    for (int64_t i = 0; i < r; ++i) {
      norms.cross[o] += double{row[i]} * through[i * layer.out_features + o];
      for (int64_t j = 0; j < r; ++j) {
        norms.delta[o] += double{row[i]} * row[j] * gram[i * r + j];
      }
    }
    if (MayCancel(norms.weight[o], norms.cross[o], norms.delta[o])) {
      Refine(layer, a_values, row, r, o, norms);
    }
  }
  return norms;
}

}  // namespace peft
