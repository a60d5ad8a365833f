// The operations of a decoder other than linear layers, in the shapes of a
// 135M-parameter Llama, on one thread.
//
//   ./bazelw run //kernels:nn_benchmark

#include <vector>

#include "benchmark/benchmark.h"
#include "kernels/nn.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kWidth = 576;
constexpr int64_t kHiddenWidth = 1536;

void SetRate(benchmark::State& state, int64_t items) {
  state.SetItemsProcessed(state.iterations() * items);
}

void BM_RmsNorm(benchmark::State& state) {
  Random random(1);
  RandomRows x(state.range(0), kWidth, 0, random);
  RandomRows y(state.range(0), kWidth, 0, random);
  const RandomMatrix weight(DType::kF32, 1, kWidth, random);
  for (auto _ : state) {
    RmsNorm(x.view(), weight.vector(), 1e-5f, y.view(), InlineThreadPool());
  }
  SetRate(state, state.range(0) * kWidth);
}
BENCHMARK(BM_RmsNorm)->Arg(1)->Arg(256);

void BM_LayerNorm(benchmark::State& state) {
  Random random(6);
  RandomRows x(state.range(0), kWidth, 0, random);
  RandomRows y(state.range(0), kWidth, 0, random);
  const RandomMatrix weight(DType::kF32, 1, kWidth, random);
  for (auto _ : state) {
    LayerNorm(x.view(), weight.vector(), weight.vector(), 1e-5f, y.view(),
              InlineThreadPool());
  }
  SetRate(state, state.range(0) * kWidth);
}
BENCHMARK(BM_LayerNorm)->Arg(1)->Arg(256);

void BM_Rope(benchmark::State& state) {
  Random random(2);
  RandomRows x(state.range(0), kWidth, 0, random);
  // A true rotation: x must stay of the same size through many.
  const std::vector<float> cos(32, 0.6f);
  const std::vector<float> sin(32, 0.8f);
  for (auto _ : state) {
    Rope(x.view(), 64, {cos.data(), state.range(0), 32, 0},
         {sin.data(), state.range(0), 32, 0}, InlineThreadPool());
    benchmark::ClobberMemory();
  }
  SetRate(state, state.range(0) * kWidth);
}
BENCHMARK(BM_Rope)->Arg(1)->Arg(256);

void BM_GatedActivation(benchmark::State& state, Activation activation) {
  Random random(3);
  RandomRows gate(state.range(0), kHiddenWidth, 0, random);
  RandomRows up(state.range(0), kHiddenWidth, 0, random);
  RandomRows y(state.range(0), kHiddenWidth, 0, random);
  for (auto _ : state) {
    GatedActivation(activation, gate.view(), up.view(), y.view(),
                    InlineThreadPool());
  }
  SetRate(state, state.range(0) * kHiddenWidth);
}
BENCHMARK_CAPTURE(BM_GatedActivation, Silu, Activation::kSilu)
    ->Arg(1)
    ->Arg(256);
BENCHMARK_CAPTURE(BM_GatedActivation, Gelu, Activation::kGelu)->Arg(256);
BENCHMARK_CAPTURE(BM_GatedActivation, GeluTanh, Activation::kGeluTanh)
    ->Arg(256);

void BM_Activate(benchmark::State& state, Activation activation) {
  Random random(7);
  RandomRows x(256, kHiddenWidth, 0, random);
  RandomRows y(256, kHiddenWidth, 0, random);
  for (auto _ : state) {
    Activate(activation, x.view(), y.view(), InlineThreadPool());
  }
  SetRate(state, 256 * kHiddenWidth);
}
BENCHMARK_CAPTURE(BM_Activate, Gelu, Activation::kGelu);
BENCHMARK_CAPTURE(BM_Activate, GeluTanh, Activation::kGeluTanh);

void BM_Argmax(benchmark::State& state) {
  Random random(4);
  const std::vector<float> x = RandomFloats(49152, random);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Argmax(x.data(), 49152));
  }
  SetRate(state, 49152);
}
BENCHMARK(BM_Argmax);

// Arguments: query rows, positions before them, whether rows see later keys.
void BM_Attention(benchmark::State& state) {
  AttentionShape shape = {9, 3, 64, 0.125f, 0};
  shape.causal = state.range(2) == 0;
  const int64_t rows = state.range(0);
  const int64_t positions = state.range(0) + state.range(1);
  Random random(5);
  RandomRows queries(rows, 9 * 64, 0, random);
  RandomRows keys(positions, 3 * 64, 0, random);
  RandomRows values(positions, 3 * 64, 0, random);
  RandomRows output(rows, 9 * 64, 0, random);
  KvView kv;
  kv.keys = keys.view().data;
  kv.values = values.view().data;
  kv.stride = 3 * 64;
  std::vector<float> workspace(
      AttentionWorkspaceFloats(shape, rows, positions, 1));
  for (auto _ : state) {
    Attention(shape, queries.view(), state.range(1), kv, output.view(),
              workspace.data(), InlineThreadPool());
  }
  // Pairs of a query and a key that it may see, over all heads.
  const int64_t own = shape.causal ? rows * (rows + 1) / 2 : rows * rows;
  SetRate(state, 9 * (rows * state.range(1) + own));
}
BENCHMARK(BM_Attention)
    ->Args({1, 63, 0})
    ->Args({1, 511, 0})
    ->Args({1, 4095, 0})
    ->Args({256, 0, 0})
    ->Args({1024, 0, 0})
    ->Args({256, 0, 1});

}  // namespace
}  // namespace kernels
}  // namespace peft

BENCHMARK_MAIN();
