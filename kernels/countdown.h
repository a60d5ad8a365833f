// Waiting until pieces of work that others run are done.
#ifndef KERNELS_COUNTDOWN_H_
#define KERNELS_COUNTDOWN_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>

#include "kernels/futex.h"

namespace peft {
namespace kernels {

// How long a thread looks for work, or for a last piece, before it sleeps.
// Decoding starts the next operation within a few microseconds, and a futex
// wake-up costs more than that; longer spinning only takes time from others.
constexpr std::chrono::microseconds kSpin(20);

// Calls done() until it is true or kSpin has passed. Yields each time: where
// another thread wants this core, it gets it.
template <typename Done>
bool SpinBriefly(Done done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 8; ++i) {
      if (done()) return true;
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

// What Done calls have written is there for who returns from Await. Must
// outlive all Done calls. Thread-safe, but for Set.
class Countdown {
 public:
  // While nobody awaits it and all is done.
  void Set(uint32_t pieces) { left_.store(pieces); }

  void Done() {
    if (left_.fetch_sub(1) == 1 && num_sleeping_.load() > 0) {
      FutexWake(left_, std::numeric_limits<int>::max());
    }
  }

  // Returns when all pieces are done.
  void Await() {
    if (SpinBriefly([&] { return left_.load() == 0; })) return;
    num_sleeping_.fetch_add(1);
    while (const uint32_t left = left_.load()) FutexWait(left_, left);
    num_sleeping_.fetch_sub(1);
  }

 private:
  std::atomic<uint32_t> left_{0};
  std::atomic<uint32_t> num_sleeping_{0};
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_COUNTDOWN_H_
