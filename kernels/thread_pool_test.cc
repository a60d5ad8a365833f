#include "kernels/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

void ExpectRunsEachPieceOnce(ThreadPool& pool, int64_t num_pieces) {
  std::vector<std::atomic<int>> runs(num_pieces);
  pool.ParallelFor(num_pieces, [&](int64_t i) { ++runs[i]; });
  for (int64_t i = 0; i < num_pieces; ++i) {
    ASSERT_EQ(runs[i], 1) << "piece " << i << " of " << num_pieces;
  }
}

TEST(ThreadPoolTest, RunsEachPieceOnce) {
  for (int threads : {1, 2, 3, 16}) {
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(threads);
    for (int64_t pieces : {0, 1, 2, 3, 17, 1000}) {
      ExpectRunsEachPieceOnce(*pool, pieces);
    }
  }
}

TEST(ThreadPoolTest, RunsEachPieceOfBriefWorkOnce) {
  for (int threads : {1, 4}) {
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(threads);
    for (int i = 0; i < 1000; ++i) {
      std::vector<std::atomic<int>> runs(7);
      pool->ParallelForBriefly(7, [&](int64_t piece) { ++runs[piece]; });
      for (const std::atomic<int>& count : runs) ASSERT_EQ(count, 1);
    }
  }
}

TEST(ThreadPoolTest, BriefWorkWakesNobody) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2);
  pool->ParallelFor(2, [](int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::thread::id caller = std::this_thread::get_id();
  pool->ParallelForBriefly(
      100, [&](int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

#if defined(__linux__)

// The processors that the calling thread may run on.
std::vector<int> OwnProcessors() {
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

TEST(ThreadPoolTest, OnlyItsOwnThreadsRunOnItsProcessors) {
  const std::vector<int> all = OwnProcessors();
  const std::vector<int> last = {all.back()};
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2, last);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> arrived{0};
  // The two pieces wait for each other, so that each thread has one.
  pool->ParallelFor(2, [&](int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
    const bool is_caller = std::this_thread::get_id() == caller;
    EXPECT_EQ(OwnProcessors(), is_caller ? all : last);
  });
  EXPECT_EQ(OwnProcessors(), all);
}

TEST(ThreadPoolTest, ProcessorsAreCountedWhereNoNumberIsGiven) {
  const std::vector<int> thrice(3, OwnProcessors().front());
  EXPECT_EQ(CreateThreadPool(0, thrice)->num_threads(), 3);
  EXPECT_EQ(CreateThreadPool(2, thrice)->num_threads(), 2);
}

TEST(ThreadPoolTest, FindsTheFirstProcessorThatIsRefused) {
  const std::vector<int> before = OwnProcessors();
  const int good = before.front();
  EXPECT_EQ(FirstRefusedProcessor({}), -1);
  EXPECT_EQ(FirstRefusedProcessor(before), -1);
  for (const int bad : {-1, CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 30}) {
    EXPECT_EQ(FirstRefusedProcessor({good, bad, bad}), 1) << bad;
  }
  EXPECT_EQ(OwnProcessors(), before);
}

#endif  // __linux__

TEST(ThreadPoolTest, SurvivesManyShortCalls) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(4);
  int64_t sum = 0;  // Not atomic: a call's pieces happen before its end.
  std::vector<int64_t> values(3);
  for (int i = 0; i < 20000; ++i) {
    pool->ParallelFor(3, [&](int64_t piece) { values[piece] = i + piece; });
    for (int64_t value : values) sum += value;
  }
  EXPECT_EQ(sum, 3 * (int64_t{20000} * 19999 / 2) + 3 * 20000);
}

TEST(ThreadPoolTest, WakesSleepingThreads) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // The two pieces wait for each other: only two threads can finish them.
    std::atomic<int> arrived{0};
    pool->ParallelFor(2, [&](int64_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
  }
}

TEST(ThreadPoolTest, CallerSleepsUntilTheLastPieceIsDone) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> other_started{false};
  bool done = false;
  pool->ParallelFor(2, [&](int64_t) {
    if (std::this_thread::get_id() == caller) {
      while (!other_started) std::this_thread::yield();
      return;
    }
    other_started = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    done = true;
  });
  EXPECT_TRUE(done);
}

TEST(ThreadPoolTest, SeveralCallersAtOnce) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 12; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 300; ++j) ExpectRunsEachPieceOnce(*pool, 5);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPoolTest, NestedCallsRunOnTheirCaller) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  std::atomic<int> runs{0};
  pool->ParallelFor(6, [&](int64_t) {
    const std::thread::id caller = std::this_thread::get_id();
    pool->ParallelFor(7, [&](int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      ++runs;
    });
  });
  EXPECT_EQ(runs, 42);
}

TEST(ThreadPoolTest, NoMoreThreadsThanAskedFor) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  EXPECT_EQ(pool->num_threads(), 3);
  std::vector<std::thread::id> ids(200);
  pool->ParallelFor(200, [&](int64_t i) {
    ids[i] = std::this_thread::get_id();
    std::this_thread::yield();
  });
  EXPECT_LE(std::set<std::thread::id>(ids.begin(), ids.end()).size(), 3u);
}

TEST(ThreadPoolTest, ZeroMeansAllProcessors) {
  EXPECT_GE(CreateThreadPool(0)->num_threads(), 1);
  EXPECT_GE(CreateThreadPool(-1)->num_threads(), 1);
}

TEST(ThreadPoolTest, EndsWhetherUsedOrNot) {
  for (int i = 0; i < 50; ++i) {
    const std::unique_ptr<ThreadPool> unused = CreateThreadPool(4);
    const std::unique_ptr<ThreadPool> used = CreateThreadPool(4);
    ExpectRunsEachPieceOnce(*used, 4);
  }
}

TEST(InlineThreadPoolTest, RunsInOrderOnTheCaller) {
  std::vector<int64_t> order;
  InlineThreadPool().ParallelFor(4, [&](int64_t i) { order.push_back(i); });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(InlineThreadPool().num_threads(), 1);
}

}  // namespace
}  // namespace kernels
}  // namespace peft
