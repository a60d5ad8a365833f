#include "kernels/cuda/testing/emulation.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

EmulatedLaunch Threads(unsigned threads, bool backwards = false) {
  EmulatedLaunch launch;
  launch.threads = threads;
  launch.backwards = backwards;
  return launch;
}

struct Sums {
  int shared[64];
};

// Each thread writes a number and reads its neighbour's.
template <bool kWait>
void ReadNeighbour(const void* argument) {
  PEFT_SHARED(Sums, shared);
  const int thread = ThreadIndex();
  shared.shared[thread] = thread;
  if (kWait) SyncThreads();
  auto* const out = *static_cast<std::vector<int>* const*>(argument);
  (*out)[thread] = shared.shared[(thread + 1) % 64];
}

TEST(EmulationTest, ThreadsSeeWhatOthersWroteBeforeABarrier) {
  for (const bool backwards : {false, true}) {
    std::vector<int> out(64);
    const std::vector<int>* const argument = &out;
    EXPECT_EQ(
        RunThreads(Threads(64, backwards), ReadNeighbour<true>, &argument), "");
    for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], (i + 1) % 64);
  }
}

TEST(EmulationTest, MissingBarrierShows) {
  std::vector<int> out(64);
  const std::vector<int>* const argument = &out;
  EXPECT_EQ(RunThreads(Threads(64), ReadNeighbour<false>, &argument), "");
  EXPECT_EQ(out[0], -1);
}

TEST(EmulationTest, BarrierThatSomeThreadsLeaveOutFailsTheLaunch) {
  const auto body = [](const void*) {
    if (ThreadIndex() != 3) SyncThreads();
  };
  EXPECT_EQ(RunThreads(Threads(32), body, nullptr),
            "threads wait for others that never come");
}

TEST(EmulationTest, BlocksOfACooperativeLaunchWaitForEachOther) {
  static uint32_t arrived;
  const auto body = [](const void*) {
    if (ThreadIndex() == 0) AddRelease(&arrived, 1);
    while (LoadAcquire(&arrived) < 3) Pause();
  };
  arrived = 0;
  EmulatedLaunch launch = Threads(32);
  launch.grid[0] = 3;
  EXPECT_EQ(RunThreads(launch, body, nullptr),
            "threads wait for others that never come");
  arrived = 0;
  launch.cooperative = true;
  EXPECT_EQ(RunThreads(launch, body, nullptr), "");
}

struct Half {
  static float Load(uint16_t value) { return F16ToF32(value); }
};

// A and B as the PTX manual lays them out, elements 1 + row and column.
void Multiply(const void* argument) {
  const int lane = ThreadIndex();
  const auto half = [](int value) {
    return uint32_t{F32ToF16(static_cast<float>(value))};
  };
  // Of A: row + 1, where the column is `k`, else 0. Of B: column + 1, there.
  constexpr int kOnly = 11;
  const auto pair = [&](int first, int value) {
    return (first == kOnly ? half(value) : 0) |
           (first + 1 == kOnly ? half(value) : 0) << 16;
  };
  const int row = lane / 4;
  const int k = lane % 4 * 2;
  float c[4] = {1, 1, 1, 1};
  MultiplyTile<Half>(pair(k, row + 1), pair(k, row + 9), pair(k + 8, row + 1),
                     pair(k + 8, row + 9), pair(k, row + 1),
                     pair(k + 8, row + 1), c);
  auto* const out = *static_cast<std::vector<float>* const*>(argument);
  for (int i = 0; i < 4; ++i) {
    (*out)[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = c[i];
  }
}

TEST(EmulationTest, ProductOfAWarpIsTheOneOfItsTiles) {
  std::vector<float> out(128);
  const std::vector<float>* const argument = &out;
  EXPECT_EQ(RunThreads(Threads(32), Multiply, &argument), "");
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      EXPECT_EQ(out[row * 8 + column],
                1.0f + static_cast<float>((row + 1) * (column + 1)));
    }
  }
}

TEST(EmulationTest, LoadOfWordsAtAnOddAddressFailsTheLaunch) {
  const auto body = [](const void* argument) {
    uint32_t words[2];
    LoadWords<2>(static_cast<const char*>(argument) + 4, words);
  };
  alignas(16) const char bytes[16] = {};
  EXPECT_EQ(RunThreads(Threads(1), body, bytes),
            "a load of words that are not aligned");
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
