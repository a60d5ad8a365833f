// What one look-up costs; every call of the C ABI makes at least one.

#include <memory>

#include "benchmark/benchmark.h"
#include "peft_c/handle_table.h"

namespace peft {
namespace {

void BM_Find(benchmark::State& state) {
  HandleTable& table = HandleTable::Global();
  static const uintptr_t handle =
      table.Insert(HandleKind::kModel, std::make_shared<int>(1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.Find(handle, HandleKind::kModel));
  }
}
BENCHMARK(BM_Find)->Threads(1)->Threads(2);

void BM_InsertAndRemove(benchmark::State& state) {
  HandleTable& table = HandleTable::Global();
  const auto object = std::make_shared<int>(1);
  for (auto _ : state) {
    const uintptr_t handle = table.Insert(HandleKind::kModel, object);
    benchmark::DoNotOptimize(table.Remove(handle, HandleKind::kModel));
  }
}
BENCHMARK(BM_InsertAndRemove)->Threads(1)->Threads(2);

}  // namespace
}  // namespace peft
