// Random calls on several threads that share models, activations and sessions.
// The thread sanitizer sees what they do to each other.

#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "testing/misuse/fixtures.h"
#include "testing/misuse/pool.h"
#include "testing/misuse/run.h"

extern "C" const char* __tsan_default_options() {
  return "allocator_may_return_null=1:max_allocation_size_mb=1024";
}

namespace peft {
namespace {

constexpr int kThreads = 3;
constexpr uint64_t kRounds = 300;

void PlayOn(Pool& shared, uint64_t seed) {
  Run run(seed, &shared);
  run.Play();
}

TEST(ConcurrentMisuseTest, RandomSequencesOnSharedHandles) {
  EnterFixtures(testing::TempDir());
  peft_set_logger(nullptr, nullptr);
  for (uint64_t round = 0; round < kRounds; ++round) {
    Pool shared;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back(
          [&shared, seed = round * kThreads + i] { PlayOn(shared, seed); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace peft
