#include "kernels/lanes.h"

#include <algorithm>
#include <atomic>
#include <cassert>

#include "kernels/countdown.h"

namespace peft {
namespace kernels {
namespace {

// More threads than this do not work on one call.
constexpr int64_t kMaxLanes = 64;

// Indices that nobody has taken yet. On a cache line of its own, and nothing
// before Set: most of a Part's are never used.
class alignas(64) Range {
 public:
  void Set(int64_t first, int64_t end) {
    bounds_.store(Pack(first, end), std::memory_order_relaxed);
    begun_.store(false, std::memory_order_relaxed);
  }

  // Others take from the end once its own thread has begun; before, from the
  // start: memory is read faster in the order of addresses.
  void Begin() { begun_.store(true, std::memory_order_relaxed); }
  bool begun() const { return begun_.load(std::memory_order_relaxed); }

  // Sets the turn's index and next.
  bool TakeFirst(LaneTurn* turn) {
    return Take([&](int64_t first, int64_t end) {
      turn->index = first;
      turn->next = first + 1 < end ? first + 1 : -1;
      return Pack(first + 1, end);
    });
  }

  bool TakeLast(LaneTurn* turn) {
    return Take([&](int64_t first, int64_t end) {
      turn->index = end - 1;
      turn->next = -1;
      return Pack(first, end - 1);
    });
  }

  // What is taken first of what is left; -1 where nothing is.
  int64_t First() const {
    const uint64_t bounds = bounds_.load(std::memory_order_relaxed);
    return FirstOf(bounds) < EndOf(bounds) ? FirstOf(bounds) : -1;
  }

 private:
  static uint64_t Pack(int64_t first, int64_t end) {
    return static_cast<uint64_t>(end) << 32 | static_cast<uint64_t>(first);
  }
  static int64_t FirstOf(uint64_t bounds) {
    return static_cast<int64_t>(bounds & 0xffffffff);
  }
  static int64_t EndOf(uint64_t bounds) {
    return static_cast<int64_t>(bounds >> 32);
  }

  // False where the range is empty. What a piece of work reads was written
  // before the pool started it, so no order is needed here.
  template <typename Rest>
  bool Take(Rest rest) {
    uint64_t bounds = bounds_.load(std::memory_order_relaxed);
    for (;;) {
      const int64_t first = FirstOf(bounds);
      const int64_t end = EndOf(bounds);
      if (first >= end) return false;
      if (bounds_.compare_exchange_weak(bounds, rest(first, end),
                                        std::memory_order_relaxed)) {
        return true;
      }
    }
  }

  std::atomic<uint64_t> bounds_;
  std::atomic<bool> begun_;
};

// Consecutive indices, a range for each lane.
class Part {
 public:
  Part(int64_t first, int64_t end, int64_t lanes) : lanes_(lanes) {
    const int64_t count = end - first;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      ranges_[lane].Set(first + count * lane / lanes,
                        first + count * (lane + 1) / lanes);
    }
  }

  // Calls run(turn) for the lane's own indices, then for what others have not
  // taken.
  template <typename Run>
  void RunLane(int64_t lane, Run run) {
    LaneTurn turn = {0, lane, -1};
    ranges_[lane].Begin();
    while (ranges_[lane].TakeFirst(&turn)) run(turn);
    for (int64_t other = 1; other < lanes_; ++other) {
      Range& range = ranges_[(lane + other) % lanes_];
      while (range.begun() ? range.TakeLast(&turn) : range.TakeFirst(&turn)) {
        run(turn);
      }
    }
  }

  int64_t FirstOfLane(int64_t lane) const { return ranges_[lane].First(); }

 private:
  const int64_t lanes_;
  Range ranges_[kMaxLanes];
};

}  // namespace

void RunInLanes(int64_t count, ThreadPool& pool,
                absl::FunctionRef<void(const LaneTurn&)> run, WorkLength length,
                int64_t first_part) {
  assert(count < int64_t{1} << 31);
  const int64_t lanes =
      std::min({count, int64_t{pool.num_threads()}, kMaxLanes});
  if (lanes <= 1) {
    for (int64_t i = 0; i < count; ++i) run({i, 0, i + 1 < count ? i + 1 : -1});
    return;
  }
  Part first(0, first_part, lanes);
  Part rest(first_part, count, lanes);
  Countdown unfinished;
  unfinished.Set(static_cast<uint32_t>(first_part));
  const auto run_lane = [&](int64_t lane) {
    if (first_part > 0) {
      first.RunLane(lane, [&](LaneTurn turn) {
        if (turn.next < 0) turn.next = rest.FirstOfLane(lane);
        run(turn);
        unfinished.Done();
      });
      unfinished.Await();
    }
    rest.RunLane(lane, run);
  };
  if (length == WorkLength::kBrief) {
    pool.ParallelForBriefly(lanes, run_lane);
  } else {
    pool.ParallelFor(lanes, run_lane);
  }
}

}  // namespace kernels
}  // namespace peft
