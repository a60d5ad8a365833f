#include "kernels/futex.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

TEST(FutexTest, ReturnsAtOnceWhenTheWordHasChanged) {
  std::atomic<uint32_t> word{1};
  FutexWait(word, 0);
}

TEST(FutexTest, WaitingThreadWakes) {
  std::atomic<uint32_t> word{0};
  std::thread waiter([&] {
    while (word == 0) FutexWait(word, 0);
  });
  word = 1;
  FutexWake(word, 1);
  waiter.join();
}

TEST(FutexTest, TwoThreadsTakeTurns) {
  std::atomic<uint32_t> turn{0};
  const auto play = [&](uint32_t me) {
    for (int i = 0; i < 1000; ++i) {
      while (turn % 2 != me) FutexWait(turn, 1 - me);
      turn = 1 - me;
      FutexWake(turn, 1);
    }
  };
  std::thread other([&] { play(1); });
  play(0);
  other.join();
}

}  // namespace
}  // namespace kernels
}  // namespace peft
