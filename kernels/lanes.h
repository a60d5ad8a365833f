// Work on memory that lies in a row, shared among the threads of a pool.
#ifndef KERNELS_LANES_H_
#define KERNELS_LANES_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/thread_pool.h"

namespace peft {
namespace kernels {

// Whether it is worth waking a thread for.
enum class WorkLength { kLong, kBrief };

// One call of the work that RunInLanes hands out.
struct LaneTurn {
  int64_t index;
  // Below pool.num_threads(), and one thread at a time, so that it may have
  // memory of its own.
  int64_t lane;
  // The index that the lane takes next unless another lane takes it first; -1
  // where there is none in its range.
  int64_t next;
};

// Calls run once for each index in [0, count), below 2^31, and returns when all
// have returned. Each lane has a range of indices that it takes in order, and
// one that is done takes from the end of another's range, from the start where
// that has not begun: threads that read neighbouring pieces in turns fetch
// ahead what the other one needs, and read at half the rate.
//
// The indices below `first_part` come before the others: all of them have
// returned when one of the others begins. That costs less than two calls.
void RunInLanes(int64_t count, ThreadPool& pool,
                absl::FunctionRef<void(const LaneTurn&)> run,
                WorkLength length = WorkLength::kLong, int64_t first_part = 0);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_LANES_H_
