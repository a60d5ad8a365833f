#include "kernels/lanes.h"

#include <algorithm>
#include <atomic>
#include <cassert>

namespace peft {
namespace kernels {
namespace {

// More threads than this do not work on one call.
constexpr int64_t kMaxLanes = 64;

// Indices that nobody has taken yet. On a cache line of its own.
class alignas(64) Range {
 public:
  void Set(int64_t first, int64_t end) {
    bounds_.store(Pack(first, end), std::memory_order_relaxed);
  }

  // Others take from the end once its own thread has begun; before, from the
  // start: memory is read faster in the order of addresses.
  void Begin() { begun_.store(true, std::memory_order_relaxed); }
  bool begun() const { return begun_.load(std::memory_order_relaxed); }

  bool TakeFirst(int64_t* index) {
    return Take([&](int64_t first, int64_t end) {
      *index = first;
      return Pack(first + 1, end);
    });
  }

  bool TakeLast(int64_t* index) {
    return Take([&](int64_t first, int64_t end) {
      *index = end - 1;
      return Pack(first, end - 1);
    });
  }

 private:
  static uint64_t Pack(int64_t first, int64_t end) {
    return static_cast<uint64_t>(end) << 32 | static_cast<uint64_t>(first);
  }

  // False where the range is empty. What a piece of work reads was written
  // before the pool started it, so no order is needed here.
  template <typename Rest>
  bool Take(Rest rest) {
    uint64_t bounds = bounds_.load(std::memory_order_relaxed);
    for (;;) {
      const auto first = static_cast<int64_t>(bounds & 0xffffffff);
      const auto end = static_cast<int64_t>(bounds >> 32);
      if (first >= end) return false;
      if (bounds_.compare_exchange_weak(bounds, rest(first, end),
                                        std::memory_order_relaxed)) {
        return true;
      }
    }
  }

  std::atomic<uint64_t> bounds_{0};
  std::atomic<bool> begun_{false};
};

}  // namespace

void RunInLanes(int64_t count, ThreadPool& pool,
                absl::FunctionRef<void(int64_t, int64_t)> run,
                WorkLength length) {
  assert(count < int64_t{1} << 31);
  const int64_t lanes =
      std::min({count, int64_t{pool.num_threads()}, kMaxLanes});
  if (lanes <= 1) {
    for (int64_t i = 0; i < count; ++i) run(i, 0);
    return;
  }
  Range ranges[kMaxLanes];
  for (int64_t lane = 0; lane < lanes; ++lane) {
    ranges[lane].Set(count * lane / lanes, count * (lane + 1) / lanes);
  }
  const auto run_lane = [&](int64_t lane) {
    int64_t index = 0;
    ranges[lane].Begin();
    while (ranges[lane].TakeFirst(&index)) run(index, lane);
    for (int64_t other = 1; other < lanes; ++other) {
      Range& range = ranges[(lane + other) % lanes];
      while (range.begun() ? range.TakeLast(&index) : range.TakeFirst(&index)) {
        run(index, lane);
      }
    }
  };
  if (length == WorkLength::kBrief) {
    pool.ParallelForBriefly(lanes, run_lane);
  } else {
    pool.ParallelFor(lanes, run_lane);
  }
}

}  // namespace kernels
}  // namespace peft
