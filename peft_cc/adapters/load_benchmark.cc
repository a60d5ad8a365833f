// What loading an adapter costs with a warm page cache: LoRA of r = 16 on all
// seven linears of a Llama of 135M parameters, 20 MB of f32. Arguments: how
// many others are resident, threads, whether the file is mapped.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr int kLayers = 30;
constexpr int64_t kRank = 16;

struct Linear {
  const char* name;
  int64_t in;
  int64_t out;
};
constexpr Linear kLinears[] = {
    {"self_attn.q_proj", 576, 576}, {"self_attn.k_proj", 576, 192},
    {"self_attn.v_proj", 576, 192}, {"self_attn.o_proj", 576, 576},
    {"mlp.gate_proj", 576, 1536},   {"mlp.up_proj", 576, 1536},
    {"mlp.down_proj", 1536, 576},
};

// The sites have no weights: LoRA's lowering does not read them.
SiteTable MakeSites() {
  std::vector<Site> sites;
  std::vector<std::string> names;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const Linear& linear : kLinears) {
      Site site;
      site.name = absl::StrCat("model.layers.", layer, ".", linear.name);
      site.in_features = linear.in;
      site.out_features = linear.out;
      names.push_back(site.name);
      sites.push_back(std::move(site));
    }
  }
  return SiteTable(std::move(sites), std::move(names), "llama");
}

Tensor Zeros(std::vector<int64_t> shape) {
  void* data = nullptr;
  return *Tensor::Allocate(DType::kF32, std::move(shape), &data);
}

// A folder with the adapter.
std::string WriteFolder(const SiteTable& sites) {
  std::string folder = "/tmp/peft_load_benchmark_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  TensorMap tensors;
  for (const Site& site : sites.sites()) {
    const std::string prefix = "base_model.model." + site.name;
    tensors[prefix + ".lora_A.weight"] = Zeros({kRank, site.in_features});
    tensors[prefix + ".lora_B.weight"] = Zeros({site.out_features, kRank});
  }
  const char config[] =
      R"({"peft_type": "LORA", "r": 16, "lora_alpha": 32,
          "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj",
                             "gate_proj", "up_proj", "down_proj"]})";
  if (!WriteSafetensors(folder + "/adapter_model.safetensors", tensors, {})
           .ok()) {
    std::abort();
  }
  std::ofstream(folder + "/adapter_config.json") << config;
  return folder;
}

void Load(const SiteTable& sites, const std::string& folder,
          AdapterRegistry& registry, const std::string& name,
          kernels::ThreadPool& pool, ReadMode mode) {
  AdapterLoadOptions options;
  options.read_mode = mode;
  options.pool = &pool;
  options.blocks = &registry.blocks();
  const auto loaded = LoadAdapter(sites, name, folder, options);
  if (!registry.Reserve(name).ok() ||
      !registry.Add(name, loaded->adapter).ok()) {
    std::abort();
  }
}

void BM_LoadAdapter(benchmark::State& state) {
  const SiteTable sites = MakeSites();
  const std::string folder = WriteFolder(sites);
  const auto pool = kernels::CreateThreadPool(static_cast<int>(state.range(1)));
  const ReadMode mode = state.range(2) != 0 ? ReadMode::kMap : ReadMode::kRead;
  AdapterRegistry registry(&sites);
  for (int64_t i = 0; i < state.range(0); ++i) {
    Load(sites, folder, registry, absl::StrCat("resident", i), *pool, mode);
  }
  for (auto _ : state) {
    Load(sites, folder, registry, "new", *pool, mode);
    state.PauseTiming();
    if (!registry.Delete({"new"}).ok()) std::abort();
    state.ResumeTiming();
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(BM_LoadAdapter)
    ->ArgsProduct({{0, 99}, {1, 0}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace peft
