// What switching adapters costs: building the plan of 210 linear sites (a
// Llama of 30 layers with all linears targeted).
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/plan.h"

namespace peft {
namespace {

constexpr int kSites = 210;
constexpr int64_t kWidth = 64;

Tensor Zeros(std::vector<int64_t> shape) {
  void* data = nullptr;
  return *Tensor::Allocate(DType::kF32, std::move(shape), &data);
}

SiteTable MakeSites() {
  std::vector<Site> sites(kSites);
  std::vector<std::string> names;
  for (int i = 0; i < kSites; ++i) {
    sites[i].name = absl::StrCat("model.layers.", i, ".q_proj");
    sites[i].in_features = sites[i].out_features = kWidth;
    sites[i].weight = Zeros({kWidth, kWidth});
    names.push_back(sites[i].name);
  }
  return SiteTable(std::move(sites), std::move(names), "llama");
}

std::shared_ptr<const Adapter> MakeAdapter(bool with_bias) {
  std::vector<Adapter::SiteEntry> entries;
  for (int i = 0; i < kSites; ++i) {
    SiteProgram program;
    program.emplace_back(
        LowRank{Zeros({16, kWidth}), Zeros({kWidth, 16}), 1.0f});
    if (with_bias) program.emplace_back(Bias{std::vector<float>(kWidth, 1.0f)});
    entries.push_back({i, std::move(program)});
  }
  return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                   std::move(entries));
}

void RunCreate(benchmark::State& state, bool with_bias) {
  const SiteTable sites = MakeSites();
  Activation activation;
  for (int64_t i = 0; i < state.range(0); ++i) {
    activation.entries.push_back({MakeAdapter(with_bias), 1.0f});
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(Plan::Create(sites, activation));
  }
}

void BM_CreatePlan(benchmark::State& state) { RunCreate(state, false); }
BENCHMARK(BM_CreatePlan)->Arg(0)->Arg(1)->Arg(4);

void BM_CreatePlanWithBiases(benchmark::State& state) {
  RunCreate(state, true);
}
BENCHMARK(BM_CreatePlanWithBiases)->Arg(1);

}  // namespace
}  // namespace peft
