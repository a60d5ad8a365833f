#include "kernels/futex.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace peft {
namespace kernels {

#if defined(__linux__)

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t),
              "the kernel reads the word itself");

void FutexWait(std::atomic<uint32_t>& word, uint32_t expected) {
  // Every outcome (woken, changed already, interrupted) means: look again.
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void FutexWake(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

#else

namespace {

struct Bucket {
  std::mutex mutex;
  std::condition_variable changed;
};

// Words that share a bucket wake each other for nothing; callers look again.
Bucket& BucketOf(const void* word) {
  static Bucket* const buckets = new Bucket[16];
  return buckets[(reinterpret_cast<uintptr_t>(word) >> 6) % 16];
}

}  // namespace

void FutexWait(std::atomic<uint32_t>& word, uint32_t expected) {
  Bucket& bucket = BucketOf(&word);
  std::unique_lock<std::mutex> lock(bucket.mutex);
  if (word.load() == expected) bucket.changed.wait(lock);
}

void FutexWake(std::atomic<uint32_t>& word, int) {
  Bucket& bucket = BucketOf(&word);
  std::lock_guard<std::mutex> lock(bucket.mutex);
  bucket.changed.notify_all();
}

#endif

}  // namespace kernels
}  // namespace peft
