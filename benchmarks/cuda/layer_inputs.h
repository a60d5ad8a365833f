// What a layer computes from, and what it has to compute.
#ifndef BENCHMARKS_CUDA_LAYER_INPUTS_H_
#define BENCHMARKS_CUDA_LAYER_INPUTS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "benchmarks/cuda/bench.h"

namespace peft {

// The scale of all adapters, and how often it doubles.
constexpr int kScaleDoublings = 1;
constexpr float kScale = 1 << kScaleDoublings;

// Layers that share their input, each with an adapter of its own rank; or with
// `adapters` of them, for equal parts of the rows.
struct LayerShape {
  int64_t rows = 1;
  int64_t in = 0;
  std::vector<int64_t> outs;
  int64_t rank = 16;
  int64_t adapters = 1;

  int num_outputs() const { return static_cast<int>(outs.size()); }
  // Of all layers, for one row.
  int64_t ranks() const { return rank * num_outputs(); }
  int64_t AdapterOf(int64_t row) const { return row * adapters / rows; }
};

// A number to be computed, and how large the terms are that it is the sum of:
// what rounding errors are to be compared with.
struct Expected {
  double value = 0;
  double size = 0;
};

// In device memory, on which the timer's stream has written them.
class LayerInputs {
 public:
  // `training`: with a gradient of the first layer's output. `seed` makes the
  // numbers its own.
  static absl::StatusOr<std::unique_ptr<LayerInputs>> Create(
      const CudaBench& bench, const LayerShape& shape, bool training,
      int64_t seed);

  const LayerShape& shape() const { return shape_; }
  const KnownMatrix& x() const { return x_; }
  const KnownMatrix& weight(int output) const { return weights_[output]; }
  // Of all adapters and, within each, of all layers.
  const KnownMatrix& a() const { return a_; }
  // The adapter's first row of a() for a layer.
  int64_t FirstRank(int64_t adapter, int output) const {
    return (adapter * shape_.num_outputs() + output) * shape_.rank;
  }
  const KnownMatrix& b(int64_t adapter, int output) const {
    return b_[adapter * shape_.num_outputs() + output];
  }
  const KnownMatrix& dy() const { return dy_; }

  // In double.
  Expected ExpectedY(Work work, int output, int64_t row, int64_t col) const;
  // Gradients of the first layer, with one adapter.
  Expected ExpectedGradient(Computed what, int64_t row, int64_t col) const;

 private:
  LayerInputs() = default;
  // x A^T, not scaled, and scale dy B.
  double T(int64_t row, int64_t adapter, int output, int64_t rank) const;
  double Dt(int64_t row, int64_t rank) const;

  BenchMemory memory_;
  LayerShape shape_;
  KnownMatrix x_, a_, dy_;
  std::vector<KnownMatrix> weights_;
  std::vector<KnownMatrix> b_;
};

// Runs the side once and compares some of what it has computed with the inputs'
// own numbers. DATA_LOSS for what is wrong, with both numbers.
absl::Status CheckSide(const LayerInputs& inputs, Work work,
                       absl::string_view name, Side& side);

}  // namespace peft

#endif  // BENCHMARKS_CUDA_LAYER_INPUTS_H_
