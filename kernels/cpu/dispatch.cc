#include "kernels/cpu/dispatch.h"

#include <atomic>

#include "kernels/cpu/variants.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

// AMX where the system lets this process keep tiles.
bool HasAmx() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // of arch_prctl
  constexpr long kTileData = 18;
  return __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("amx-tile") &&
         __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// AMD's Zen 5 and what comes after it.
bool IsZen5OrLater() {
  constexpr unsigned kZen5Family = 26;
  unsigned family = 0;
  unsigned ebx, ecx, edx;
  if (!__builtin_cpu_is("amd") || !__get_cpuid(1, &family, &ebx, &ecx, &edx)) {
    return false;
  }
  return ((family >> 8) & 0xf) + ((family >> 20) & 0xff) >= kZen5Family;
}

// Bytes of the largest cache.
int64_t OuterCacheBytes() {
  int64_t bytes = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
  constexpr int64_t kLikely = int64_t{32} << 20;
  return bytes > 0 ? bytes : kLikely;
}

bool IsIntel() { return __builtin_cpu_is("intel"); }

// AVX-512's kernels as this processor reads memory best.
KernelTable TunedAvx512Kernels() {
  KernelTable table = kAvx512Kernels;
  if (IsZen5OrLater() || IsIntel()) table.bytes_ahead = 8192;
  if (IsZen5OrLater()) table.cached_bytes = OuterCacheBytes();
  return table;
}

// What newer processors have on top of these.

void AddVnniTable(std::vector<const KernelTable*>* tables) {
  if (!__builtin_cpu_supports("avx512vnni")) return;
  static const KernelTable vnni =
      WithProducts(*tables->back(), kAvx512VnniKernels);
  tables->push_back(&vnni);
}

void AddBf16Table(std::vector<const KernelTable*>* tables) {
  if (!__builtin_cpu_supports("avx512bf16")) return;
  static const KernelTable bf16 =
      WithProducts(*tables->back(), kAvx512Bf16Kernels);
  tables->push_back(&bf16);
}

void AddAmxTable(std::vector<const KernelTable*>* tables) {
  if (!HasAmx()) return;
  static const KernelTable amx = WithProducts(*tables->back(), kAmxKernels);
  tables->push_back(&amx);
}

void AddAvx512Tables(std::vector<const KernelTable*>* tables) {
  static const KernelTable avx512 = TunedAvx512Kernels();
  tables->push_back(&avx512);
  // Intel's products of bf16 vectors are slower than those of f32 (Sapphire
  // Rapids: 77 GFLOP/s, 137), so that they are not to be the last.
  if (IsIntel()) AddBf16Table(tables);
  AddVnniTable(tables);
  if (!IsIntel()) AddBf16Table(tables);
  AddAmxTable(tables);
}
#endif

}  // namespace

KernelTable WithProducts(const KernelTable& base, const FewKernels& few) {
  KernelTable table = base;
  table.name = few.name;
  table.linear_few = few.linear_few;
  return table;
}

KernelTable WithProducts(const KernelTable& base, const ManyKernels& many) {
  KernelTable table = base;
  table.name = many.name;
  table.linear_many = many.linear_many;
  if (many.outputs_at_once != nullptr) {
    table.outputs_at_once = many.outputs_at_once;
  }
  if (many.packs_rows != nullptr) table.packs_rows = many.packs_rows;
  return table;
}

std::vector<const KernelTable*> AvailableKernels() {
  std::vector<const KernelTable*> tables = {&kPortableKernels};
#if defined(__x86_64__)
  if (HasAvx2()) tables.push_back(&kAvx2Kernels);
  if (HasAvx2() && HasAvx512()) AddAvx512Tables(&tables);
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
