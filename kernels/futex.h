// Sleeping on a 32-bit word: Linux futexes, and a stand-in elsewhere.
#ifndef KERNELS_FUTEX_H_
#define KERNELS_FUTEX_H_

#include <atomic>
#include <cstdint>

namespace peft {
namespace kernels {

// Sleeps while `word` is `expected`, until FutexWake. May return at any time
// for no reason: check the word again. Thread-safe.
void FutexWait(std::atomic<uint32_t>& word, uint32_t expected);

// Wakes up to `count` threads that sleep on `word`. The word must have been
// changed before, so that a thread about to sleep sees it. Thread-safe.
void FutexWake(std::atomic<uint32_t>& word, int count);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_FUTEX_H_
