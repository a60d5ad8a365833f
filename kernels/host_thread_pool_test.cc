#include "kernels/host_thread_pool.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

// A host that starts a thread per piece and counts its calls.
struct Host {
  static int32_t ParallelFor(void* user_data, int64_t num_pieces,
                             void (*piece)(void* piece_data, int64_t index),
                             void* piece_data) {
    ++static_cast<Host*>(user_data)->calls;
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < num_pieces; ++i) {
      threads.emplace_back([=] { piece(piece_data, i); });
    }
    for (std::thread& thread : threads) thread.join();
    return 0;
  }

  HostThreadPoolCallbacks Callbacks() { return {&ParallelFor, this, 4}; }

  int calls = 0;
};

TEST(HostThreadPoolTest, PiecesRunOnTheHost) {
  Host host;
  HostThreadPool pool(host.Callbacks());
  EXPECT_EQ(pool.num_threads(), 4);
  std::vector<std::atomic<int>> runs(9);
  pool.ParallelFor(9, [&](int64_t i) { ++runs[i]; });
  for (const std::atomic<int>& run : runs) EXPECT_EQ(run, 1);
  EXPECT_EQ(host.calls, 1);
}

TEST(HostThreadPoolTest, OnePieceNeedsNoHost) {
  Host host;
  HostThreadPool pool(host.Callbacks());
  int runs = 0;
  pool.ParallelFor(1, [&](int64_t) { ++runs; });
  pool.ParallelFor(0, [&](int64_t) { ++runs; });
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(host.calls, 0);
}

TEST(HostThreadPoolTest, NestedCallsDoNotComeBackToTheHost) {
  Host host;
  HostThreadPool pool(host.Callbacks());
  std::atomic<int> runs{0};
  pool.ParallelFor(
      3, [&](int64_t) { pool.ParallelFor(5, [&](int64_t) { ++runs; }); });
  EXPECT_EQ(runs, 15);
  EXPECT_EQ(host.calls, 1);
}

using PieceFn = void (*)(void* piece_data, int64_t index);

// Runs 9 pieces on a host of this function. Returns how often each has run.
std::vector<int> RunNine(int32_t (*parallel_for)(void*, int64_t, PieceFn,
                                                 void*),
                         bool* out_failed) {
  HostThreadPool pool({parallel_for, nullptr, 4});
  std::vector<std::atomic<int>> runs(9);
  pool.ParallelFor(9, [&](int64_t i) { ++runs[i]; });
  *out_failed = pool.TakeFailure();
  EXPECT_FALSE(pool.TakeFailure());
  return std::vector<int>(runs.begin(), runs.end());
}

const std::vector<int> kOnceEach(9, 1);

TEST(HostThreadPoolTest, PiecesThatTheHostLeavesOutAreRun) {
  bool failed = false;
  const auto some = [](void*, int64_t, PieceFn piece, void* data) -> int32_t {
    piece(data, 3);
    return 0;
  };
  EXPECT_EQ(RunNine(some, &failed), kOnceEach);
  EXPECT_TRUE(failed);
}

TEST(HostThreadPoolTest, AFailureOfTheHostIsTold) {
  bool failed = false;
  const auto fails = [](void*, int64_t, PieceFn, void*) { return int32_t{1}; };
  EXPECT_EQ(RunNine(fails, &failed), kOnceEach);
  EXPECT_TRUE(failed);
  const auto throws = [](void*, int64_t, PieceFn, void*) -> int32_t {
    throw 1;
  };
  EXPECT_EQ(RunNine(throws, &failed), kOnceEach);
  EXPECT_TRUE(failed);
}

TEST(HostThreadPoolTest, CallsTooManyDoNothing) {
  bool failed = true;
  const auto twice = [](void*, int64_t n, PieceFn piece, void* data) {
    for (int64_t i = -n; i < 2 * n; ++i) piece(data, i);
    return int32_t{0};
  };
  EXPECT_EQ(RunNine(twice, &failed), kOnceEach);
  EXPECT_FALSE(failed);
}

TEST(HostThreadPoolTest, CallsTooLateDoNothing) {
  static PieceFn late_piece;
  static void* late_data;
  const auto keeps = [](void*, int64_t, PieceFn piece, void* data) {
    late_piece = piece;
    late_data = data;
    return int32_t{0};
  };
  bool failed = false;
  EXPECT_EQ(RunNine(keeps, &failed), kOnceEach);
  late_piece(late_data, 0);
  const auto runs_another = [](void*, int64_t n, PieceFn piece, void* data) {
    for (int i = 0; i < 20; ++i) late_piece(late_data, i);
    for (int64_t i = 0; i < n; ++i) piece(data, i);
    return int32_t{0};
  };
  EXPECT_EQ(RunNine(runs_another, &failed), kOnceEach);
  EXPECT_FALSE(failed);
}

// The host returns while its threads still work.
TEST(HostThreadPoolTest, PiecesThatStillRunAreWaitedFor) {
  static std::vector<std::thread> threads;
  const auto returns = [](void*, int64_t n, PieceFn piece, void* data) {
    for (int64_t i = 0; i < n; ++i) {
      threads.emplace_back([=] { piece(data, i); });
    }
    return int32_t{0};
  };
  bool failed = false;
  EXPECT_EQ(RunNine(returns, &failed), kOnceEach);
  for (std::thread& thread : threads) thread.join();
}

TEST(HostThreadPoolTest, ACallFromInsideTheCallbackRunsOnItsCaller) {
  static int depth;
  const auto calls_again = [](void*, int64_t n, PieceFn piece, void* data) {
    ++depth;
    bool failed = false;
    const auto never = [](void*, int64_t, PieceFn, void*) {
      ++depth;
      return int32_t{0};
    };
    EXPECT_EQ(RunNine(never, &failed), kOnceEach);
    for (int64_t i = 0; i < n; ++i) piece(data, i);
    return int32_t{0};
  };
  bool failed = false;
  EXPECT_EQ(RunNine(calls_again, &failed), kOnceEach);
  EXPECT_EQ(depth, 1);
}

TEST(HostThreadPoolTest, WithoutCallbackTheCallerWorks) {
  HostThreadPool pool(HostThreadPoolCallbacks{});
  EXPECT_EQ(pool.num_threads(), 1);
  int runs = 0;
  pool.ParallelFor(5, [&](int64_t) { ++runs; });
  EXPECT_EQ(runs, 5);
}

}  // namespace
}  // namespace kernels
}  // namespace peft
