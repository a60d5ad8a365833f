#include "kernels/lanes.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

void ExpectEachOnce(int64_t count, ThreadPool& pool) {
  std::vector<std::atomic<int>> calls(count);
  RunInLanes(count, pool, [&](const LaneTurn& turn) {
    EXPECT_LT(turn.lane, pool.num_threads());
    ++calls[turn.index];
  });
  for (int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(calls[i], 1) << i << " of " << count;
  }
}

TEST(LanesTest, EachIndexRunsOnce) {
  for (const int threads : {1, 2, 3, 8, 100}) {
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 64, 1000}) {
      ExpectEachOnce(count, *pool);
    }
  }
}

TEST(LanesTest, OneThreadTakesThemInOrder) {
  std::vector<int64_t> order;
  RunInLanes(5, InlineThreadPool(), [&](const LaneTurn& turn) {
    EXPECT_EQ(turn.lane, 0);
    order.push_back(turn.index);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

// Two threads, the second of which never gets a processor.
class OneOfTwoThreads : public ThreadPool {
 public:
  int num_threads() const override { return 2; }
  void ParallelFor(int64_t num_pieces,
                   absl::FunctionRef<void(int64_t)> piece) override {
    for (int64_t i = 0; i < num_pieces; ++i) piece(i);
  }
};

// Memory is read faster in the order of addresses.
TEST(LanesTest, WhatAThreadHasNotBegunIsTakenInOrder) {
  OneOfTwoThreads pool;
  std::vector<int64_t> order;
  RunInLanes(6, pool,
             [&](const LaneTurn& turn) { order.push_back(turn.index); });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
}

// After the last of a first part comes the lane's first of the rest.
TEST(LanesTest, ATurnSaysWhatItsLaneTakesNext) {
  OneOfTwoThreads pool;
  std::vector<int64_t> next;
  RunInLanes(
      10, pool, [&](const LaneTurn& turn) { next.push_back(turn.next); },
      WorkLength::kLong, 4);
  EXPECT_EQ(next, (std::vector<int64_t>{1, 4, 3, 4, 5, 6, -1, 8, 9, -1}));
  next.clear();
  RunInLanes(3, InlineThreadPool(),
             [&](const LaneTurn& turn) { next.push_back(turn.next); });
  EXPECT_EQ(next, (std::vector<int64_t>{1, 2, -1}));
}

TEST(LanesTest, ALaneIsOneThreadAtATime) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(4);
  std::atomic<int> inside[4] = {};
  RunInLanes(2000, *pool, [&](const LaneTurn& turn) {
    EXPECT_EQ(inside[turn.lane].fetch_add(1), 0);
    inside[turn.lane].fetch_sub(1);
  });
}

void ExpectFirstPartFirst(int64_t count, int64_t first_part, ThreadPool& pool) {
  std::atomic<int64_t> done{0};
  std::atomic<int64_t> calls{0};
  RunInLanes(
      count, pool,
      [&](const LaneTurn& turn) {
        ++calls;
        if (turn.index < first_part) {
          ++done;
        } else {
          EXPECT_EQ(done, first_part);
        }
      },
      WorkLength::kLong, first_part);
  EXPECT_EQ(calls, count);
}

TEST(LanesTest, TheFirstPartIsDoneBeforeTheOthersBegin) {
  for (const int threads : {1, 2, 3, 8}) {
    const std::unique_ptr<ThreadPool> pool = CreateThreadPool(threads);
    for (const int64_t count : {1, 2, 7, 64, 500}) {
      for (const int64_t first : {int64_t{1}, count / 2, count - 1, count}) {
        ExpectFirstPartFirst(count, first, *pool);
      }
    }
  }
  OneOfTwoThreads pool;
  ExpectFirstPartFirst(10, 4, pool);
}

// Far longer than threads look for their turn without sleeping.
TEST(LanesTest, AFirstPartMayTakeLong) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(3);
  std::atomic<bool> is_done{false};
  RunInLanes(
      9, *pool,
      [&](const LaneTurn& turn) {
        if (turn.index == 1) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          is_done = true;
        }
        EXPECT_TRUE(turn.index < 3 || is_done);
      },
      WorkLength::kLong, 3);
  EXPECT_TRUE(is_done);
}

// The first index takes long: the others, those of its own range included, are
// done by whoever is free.
TEST(LanesTest, AThreadThatIsHeldUpDelaysItsPieceOnly) {
  const std::unique_ptr<ThreadPool> pool = CreateThreadPool(2);
  std::atomic<int> done{0};
  RunInLanes(100, *pool, [&](const LaneTurn& turn) {
    if (turn.index != 0) {
      ++done;
      return;
    }
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (done < 99 && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    EXPECT_EQ(done, 99);
  });
}

}  // namespace
}  // namespace kernels
}  // namespace peft
