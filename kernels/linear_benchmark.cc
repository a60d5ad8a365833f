// The adapted linear layer: floating-point operations and weight bytes per
// second. Arguments: rows, inputs, outputs, rank (0: none), threads.
//
//   ./bazelw run //kernels:linear_benchmark -- --benchmark_filter=F32

#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "kernels/linear.h"
#include "kernels/testing/random_codes.h"
#include "kernels/testing/random_views.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace {

// Weights read one after the other, as a model does, so that they come from
// memory: more than most last-level caches hold, when the matrices are large.
constexpr int64_t kWeightBytes = int64_t{512} << 20;
constexpr int64_t kCodeBytes = int64_t{128} << 20;

struct Layers {
  Layers(const benchmark::State& state, DType dtype) {
    Random random(1);
    const int64_t in = state.range(1);
    const int64_t out = state.range(2);
    const int64_t rank = state.range(3);
    const bool few = state.range(0) <= 64;
    const int64_t bytes = in * out * DTypeSize(dtype);
    const int64_t copies = few ? std::max<int64_t>(1, kWeightBytes / bytes) : 1;
    const RandomMatrix pattern(dtype, out, in, random, /*aligned=*/true);
    weights.reserve(copies);
    for (int64_t i = 0; i < copies; ++i) weights.push_back(pattern);
    a = std::make_unique<RandomMatrix>(dtype, rank, in, random, true);
    b = std::make_unique<RandomMatrix>(dtype, out, rank, random, true);
    for (const RandomMatrix& weight : weights) {
      LinearPlan plan;
      plan.weight = weight.view();
      if (rank > 0) plan.stages = {{{{a->view(), b->view(), 2.0f}}, {}}};
      plans.push_back(plan);
    }
  }

  std::vector<RandomMatrix> weights;
  std::unique_ptr<RandomMatrix> a;
  std::unique_ptr<RandomMatrix> b;
  std::vector<LinearPlan> plans;
};

// The same, quantised in blocks of `block`.
struct QuantizedLayers {
  QuantizedLayers(const benchmark::State& state, DType dtype, int64_t block) {
    Random random(1);
    const int64_t in = state.range(1);
    const int64_t out = state.range(2);
    const int64_t bytes = in * out * DTypeBits(dtype) / 8;
    const int64_t copies = std::max<int64_t>(1, kCodeBytes / bytes);
    for (int64_t i = 0; i < copies; ++i) {
      weights.push_back(
          std::make_unique<RandomCodes>(dtype, out, in, block, random));
      LinearPlan plan;
      plan.weight = weights.back()->view();
      plans.push_back(plan);
    }
  }

  std::vector<std::unique_ptr<RandomCodes>> weights;
  std::vector<LinearPlan> plans;
};

void RunLayers(benchmark::State& state, const std::vector<LinearPlan>& plans,
               double bytes) {
  const int64_t rows = state.range(0);
  const std::unique_ptr<ThreadPool> pool =
      CreateThreadPool(static_cast<int>(state.range(4)));
  Random random(2);
  RandomRows x(rows, state.range(1), 0, random);
  RandomRows y(rows, state.range(2), 0, random);
  std::vector<float> workspace(LinearWorkspaceFloats(plans[0], rows));
  size_t next = 0;
  for (auto _ : state) {
    RunLinear(plans[next], x.view(), y.view(), workspace.data(), *pool);
    next = (next + 1) % plans.size();
  }
  const int64_t weights = state.range(1) * state.range(2);
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["flops"] =
      benchmark::Counter(static_cast<double>(2 * rows * weights), rate);
  state.counters["weight_bytes"] =
      benchmark::Counter(static_cast<double>(weights) * bytes, rate);
  state.counters["weights"] =
      benchmark::Counter(static_cast<double>(weights), rate);
}

void BM_Linear(benchmark::State& state, DType dtype) {
  const Layers layers(state, dtype);
  RunLayers(state, layers.plans, DTypeSize(dtype));
}

void BM_Quantized(benchmark::State& state, DType dtype, int64_t block) {
  const QuantizedLayers layers(state, dtype, block);
  RunLayers(
      state, layers.plans,
      DTypeBits(dtype) / 8.0 + static_cast<double>(ScaleSize(dtype)) / block);
}

// The linear layers of a 135M-parameter Llama, and one large matrix.
void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t threads : {1, 2}) {
    for (const int64_t rank : {0, 16}) {
      for (const int64_t rows : {1, 2, 4, 8, 16, 32, 64, 256}) {
        benchmark->Args({rows, 576, 1536, rank, threads});
      }
      benchmark->Args({1, 576, 576, rank, threads});
    }
    for (const int64_t rows : {1, 2, 4, 8}) {
      benchmark->Args({rows, 1536, 576, 0, threads});
      benchmark->Args({rows, 4096, 4096, 0, threads});
    }
    benchmark->Args({256, 2048, 2048, 0, threads});
  }
  benchmark->UseRealTime();
}

BENCHMARK_CAPTURE(BM_Linear, F32, DType::kF32)->Apply(Shapes);
BENCHMARK_CAPTURE(BM_Linear, BF16, DType::kBF16)->Apply(Shapes);
BENCHMARK_CAPTURE(BM_Linear, F16, DType::kF16)->Apply(Shapes);

void QuantizedShapes(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t threads : {1, 2}) {
    for (const int64_t rows : {1, 4, 8, 256}) {
      benchmark->Args({rows, 576, 1536, 0, threads});
    }
    benchmark->Args({1, 1536, 576, 0, threads});
    benchmark->Args({1, 4096, 4096, 0, threads});
  }
  benchmark->UseRealTime();
}

BENCHMARK_CAPTURE(BM_Quantized, NF4, DType::kTable4, 64)
    ->Apply(QuantizedShapes);
BENCHMARK_CAPTURE(BM_Quantized, Q4, DType::kQ4, 32)->Apply(QuantizedShapes);
BENCHMARK_CAPTURE(BM_Quantized, Q8, DType::kQ8, 32)->Apply(QuantizedShapes);

}  // namespace
}  // namespace kernels
}  // namespace peft

BENCHMARK_MAIN();
