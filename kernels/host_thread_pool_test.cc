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
  static void ParallelFor(void* user_data, int64_t num_pieces,
                          void (*piece)(void* piece_data, int64_t index),
                          void* piece_data) {
    ++static_cast<Host*>(user_data)->calls;
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < num_pieces; ++i) {
      threads.emplace_back([=] { piece(piece_data, i); });
    }
    for (std::thread& thread : threads) thread.join();
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
