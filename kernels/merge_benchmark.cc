// Merging into one weight, beside copying it. Arguments: rank, threads.
//
//   ./bazelw run //kernels:merge_benchmark

#include <cstring>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "kernels/merge.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kSize = 4096;

void BM_Merge(benchmark::State& state, DType dtype) {
  Random random(1);
  const int64_t rank = state.range(0);
  const RandomMatrix weight(dtype, kSize, kSize, random, /*aligned=*/true);
  const RandomMatrix a(DType::kF32, rank, kSize, random, true);
  const RandomMatrix b(DType::kF32, kSize, rank, random, true);
  LinearPlan plan;
  plan.weight = weight.view();
  plan.stages = {{{{a.view(), b.view(), 2.0f}}, {}}};
  const auto pool = CreateThreadPool(static_cast<int>(state.range(1)));
  std::vector<char> merged(kSize * kSize * DTypeSize(dtype));
  std::vector<float> workspace(MergeWorkspaceFloats(plan));
  for (auto _ : state) {
    MergeWeight(plan, WeightLayout::kOutputsFirst, dtype, merged.data(),
                workspace.data(), *pool);
  }
  state.SetBytesProcessed(state.iterations() * 2 *
                          static_cast<int64_t>(merged.size()));
  state.counters["flops"] =
      benchmark::Counter(2.0 * kSize * kSize * static_cast<double>(rank),
                         benchmark::Counter::kIsIterationInvariantRate);
}

// By as many threads, in pieces of rows, as MergeWeight goes.
void BM_Copy(benchmark::State& state, DType dtype) {
  Random random(1);
  const RandomMatrix weight(dtype, kSize, kSize, random, /*aligned=*/true);
  const auto pool = CreateThreadPool(static_cast<int>(state.range(1)));
  const int64_t row_bytes = kSize * DTypeSize(dtype);
  std::vector<char> copy(kSize * row_bytes);
  const MatrixView view = weight.view();
  for (auto _ : state) {
    pool->ParallelFor(kSize / 64, [&](int64_t piece) {
      for (int64_t row = piece * 64; row < (piece + 1) * 64; ++row) {
        std::memcpy(copy.data() + row * row_bytes,
                    static_cast<const char*>(view.data) +
                        row * view.stride * DTypeSize(dtype),
                    row_bytes);
      }
    });
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 *
                          static_cast<int64_t>(copy.size()));
}

void Ranks(benchmark::internal::Benchmark* benchmark) {
  for (const int threads : {1, 0}) {
    for (const int64_t rank : {1, 8, 16, 64, 256, 1024}) {
      benchmark->Args({rank, threads});
    }
  }
  benchmark->UseRealTime()->Unit(benchmark::kMillisecond);
}

void Copies(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({0, 1})->Args({0, 0})->UseRealTime()->Unit(
      benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(BM_Copy, F32, DType::kF32)->Apply(Copies);
BENCHMARK_CAPTURE(BM_Merge, F32, DType::kF32)->Apply(Ranks);
BENCHMARK_CAPTURE(BM_Copy, BF16, DType::kBF16)->Apply(Copies);
BENCHMARK_CAPTURE(BM_Merge, BF16, DType::kBF16)->Apply(Ranks);

}  // namespace
}  // namespace kernels
}  // namespace peft

BENCHMARK_MAIN();
