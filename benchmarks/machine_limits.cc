#include "benchmarks/machine_limits.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/cpu_variant.h"
#include "kernels/linear.h"

namespace peft {
namespace {

constexpr int64_t kMemoryBytes = int64_t{512} << 20;
constexpr int64_t kPieceBytes = int64_t{256} << 10;
constexpr int64_t kSteps = 200'000;
// Sums at once: more than the latency of a multiply-add.
constexpr int kSums = 12;

// Keeps the compiler from leaving out what nobody looks at.
template <typename T>
void Keep(const T& value) {
  asm volatile("" : : "m"(value) : "memory");
}

#if defined(__x86_64__)

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0;
}

// `count` is a multiple of 256.
template <int kHint>
__attribute__((target("avx512f"))) void ReadAvx512(const char* p, int64_t count,
                                                   int64_t bytes_ahead) {
  __m512i sums[4] = {};
  for (int64_t i = 0; i < count; i += 256) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      __builtin_prefetch(p + i + 64 * j + bytes_ahead, 0, kHint);
      sums[j] = _mm512_xor_si512(sums[j], _mm512_loadu_si512(p + i + 64 * j));
    }
  }
  Keep(sums);
}

__attribute__((target("avx512f"))) double MultiplyAddsAvx512() {
  __m512 sums[kSums];
#pragma GCC unroll 12
  for (int j = 0; j < kSums; ++j) sums[j] = _mm512_set1_ps(1);
  __m512 a = _mm512_set1_ps(0.5f);
  asm volatile("" : "+v"(a));
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      sums[j] = _mm512_fmadd_ps(sums[j], a, a);
      asm volatile("" : "+v"(sums[j]));  // else they are found to be equal
    }
  }
  __m512 total = sums[0];
#pragma GCC unroll 12
  for (int j = 1; j < kSums; ++j) total = _mm512_add_ps(total, sums[j]);
  Keep(total);
  return 2.0 * 16 * kSums * kSteps;
}

__attribute__((target("avx512f,avx512bf16"))) double Bf16DotsAvx512() {
  __m512 sums[kSums];
#pragma GCC unroll 12
  for (int j = 0; j < kSums; ++j) sums[j] = _mm512_set1_ps(0);
  __m512i ones = _mm512_set1_epi32(0x3f803f80);
  asm volatile("" : "+v"(ones));
  const auto a = reinterpret_cast<__m512bh>(ones);
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      sums[j] = _mm512_dpbf16_ps(sums[j], a, a);
      asm volatile("" : "+v"(sums[j]));
    }
  }
  __m512 total = sums[0];
#pragma GCC unroll 12
  for (int j = 1; j < kSums; ++j) total = _mm512_add_ps(total, sums[j]);
  Keep(total);
  return 2.0 * 32 * kSums * kSteps;
}

// By the kernels' choice, which has asked the system for tiles.
bool HasAmx() { return std::strcmp(kernels::CpuVariantName(), "amx") == 0; }

__attribute__((target("amx-tile,amx-bf16"))) double Bf16DotsAmx() {
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t unused[15] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
  } shapes;
  _tile_loadconfig(&shapes);  // all tiles are 0 now
  for (int64_t i = 0; i < kSteps; ++i) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
  return 2.0 * 4 * 16 * 16 * 32 * kSteps;
}

__attribute__((target("avx2,fma"))) double MultiplyAddsAvx2() {
  __m256 sums[kSums];
#pragma GCC unroll 12
  for (int j = 0; j < kSums; ++j) sums[j] = _mm256_set1_ps(1);
  __m256 a = _mm256_set1_ps(0.5f);
  asm volatile("" : "+x"(a));
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums; ++j) {
      sums[j] = _mm256_fmadd_ps(sums[j], a, a);
      asm volatile("" : "+x"(sums[j]));
    }
  }
  __m256 total = sums[0];
#pragma GCC unroll 12
  for (int j = 1; j < kSums; ++j) total = _mm256_add_ps(total, sums[j]);
  Keep(total);
  return 2.0 * 8 * kSums * kSteps;
}

#endif

void Read(const char* p, int64_t count) {
#if defined(__x86_64__)
  // As far ahead as is best for the kernels, and past the outer caches where
  // they do that: what the machine does without is less on some.
  if (HasAvx512()) {
    const int64_t ahead = kernels::CpuBytesAhead();
    return kernels::ExceedsCaches(kMemoryBytes)
               ? ReadAvx512<0>(p, count, ahead)
               : ReadAvx512<2>(p, count, ahead);
  }
#endif
  uint64_t sums[4] = {};
  for (int64_t i = 0; i < count; i += 32) {
    uint64_t words[4];
    std::memcpy(words, p + i, sizeof(words));
    for (int j = 0; j < 4; ++j) sums[j] ^= words[j];
  }
  Keep(sums);
}

double MultiplyAddsPortable() {
  typedef float Vector __attribute__((vector_size(16)));
  Vector sums[kSums] = {};
  Vector a = {0.5f, 0.5f, 0.5f, 0.5f};
  for (int64_t i = 0; i < kSteps; ++i) {
    Keep(sums);
    for (Vector& sum : sums) sum = sum * a + a;
  }
  Keep(sums);
  return 2.0 * 4 * kSums * kSteps;
}

double MultiplyAdds() {
#if defined(__x86_64__)
  if (HasAvx512()) return MultiplyAddsAvx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return MultiplyAddsAvx2();
  }
#endif
  return MultiplyAddsPortable();
}

double Bf16Dots() {
#if defined(__x86_64__)
  if (HasAmx()) return Bf16DotsAmx();
  if (HasAvx512() && __builtin_cpu_supports("avx512bf16")) {
    return Bf16DotsAvx512();
  }
#endif
  return 0;
}

// Four pieces for each thread, so that one that was held up is helped.
template <typename Run>
double OnAllThreads(kernels::ThreadPool& pool, Run run) {
  std::atomic<int64_t> total{0};
  pool.ParallelFor(4 * pool.num_threads(),
                   [&](int64_t) { total += static_cast<int64_t>(run()); });
  return static_cast<double>(total.load());
}

}  // namespace

ReadLimit::ReadLimit() {
  void* const memory = mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
#if defined(MADV_HUGEPAGE)
  madvise(memory, kMemoryBytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 1, kMemoryBytes);
  memory_ = static_cast<char*>(memory);
}

ReadLimit::~ReadLimit() { munmap(memory_, kMemoryBytes); }

void ReadLimit::ReadBurst(kernels::ThreadPool& pool) {
  pool.ParallelFor(kBurstBytes / kPieceBytes, [&](int64_t piece) {
    Read(memory_ + next_ + piece * kPieceBytes, kPieceBytes);
  });
  next_ = (next_ + kBurstBytes) % kMemoryBytes;
}

double RunMultiplyAdds(kernels::ThreadPool& pool) {
  return OnAllThreads(pool, MultiplyAdds);
}

double RunBf16Dots(kernels::ThreadPool& pool) {
  return OnAllThreads(pool, Bf16Dots);
}

}  // namespace peft
