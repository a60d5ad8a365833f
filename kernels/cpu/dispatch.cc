#include "kernels/cpu/dispatch.h"

#include <atomic>

#include "kernels/cpu/variants.h"

namespace peft {
namespace kernels {
namespace cpu {
namespace {

std::atomic<const KernelTable*> chosen{nullptr};

#if defined(__x86_64__)
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}
#endif

}  // namespace

std::vector<const KernelTable*> AvailableKernels() {
  std::vector<const KernelTable*> tables = {&kPortableKernels};
#if defined(__x86_64__)
  if (HasAvx2()) tables.push_back(&kAvx2Kernels);
  if (HasAvx2() && HasAvx512()) {
    tables.push_back(&kAvx512Kernels);
    if (__builtin_cpu_supports("avx512vnni")) {
      tables.push_back(&kAvx512VnniKernels);
    }
  }
#elif defined(__aarch64__)
  tables.push_back(&kNeonKernels);  // all of these processors have it
#endif
  return tables;
}

const KernelTable& Kernels() {
  const KernelTable* table = chosen.load(std::memory_order_relaxed);
  if (table == nullptr) {
    table = AvailableKernels().back();
    chosen.store(table, std::memory_order_relaxed);
  }
  return *table;
}

void SetKernelsForTesting(const KernelTable* table) {
  chosen.store(table, std::memory_order_relaxed);
}

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
