// What the machine itself can do, for benchmarks to compare with.
#ifndef BENCHMARKS_MACHINE_LIMITS_H_
#define BENCHMARKS_MACHINE_LIMITS_H_

#include <cstdint>
#include <vector>

#include "kernels/thread_pool.h"

namespace peft {

// Memory that is read through, larger than any cache that these machines
// share among few cores.
class ReadLimit {
 public:
  ReadLimit();
  ReadLimit(const ReadLimit&) = delete;
  ReadLimit& operator=(const ReadLimit&) = delete;
  ~ReadLimit();

  // Reads kBurstBytes once, in order, the pool's threads taking pieces: memory
  // that the calls before have not read lately.
  void ReadBurst(kernels::ThreadPool& pool);

  static constexpr int64_t kBurstBytes = int64_t{64} << 20;

 private:
  char* memory_ = nullptr;
  int64_t next_ = 0;
};

// Multiply-adds of f32 in registers alone, on each of the pool's threads, by
// the widest instructions of the machine. Returns the floating-point operations
// that it did, two for each.
double RunMultiplyAdds(kernels::ThreadPool& pool);

// The same by the products of bf16 of AMX or AVX512-BF16, where the machine has
// these; else does nothing and returns 0.
double RunBf16Dots(kernels::ThreadPool& pool);

}  // namespace peft

#endif  // BENCHMARKS_MACHINE_LIMITS_H_
