// A ThreadPool that hands its pieces to the host program's own threads.
#ifndef KERNELS_HOST_THREAD_POOL_H_
#define KERNELS_HOST_THREAD_POOL_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace peft {
namespace kernels {

// What the host gives. Plain C, so that it can come through a C ABI.
struct HostThreadPoolCallbacks {
  // To call piece(piece_data, i) exactly once for each i in [0, num_pieces),
  // from any threads, in any order, and to return 0 when all calls have
  // returned. May be called from several threads at once. Nothing that it does
  // otherwise does harm: a call of `piece` runs one of the pieces that are
  // left, or none, also when all has ended long ago; those that nobody ran are
  // run by the caller of ParallelFor, which waits for those that run.
  int32_t (*parallel_for)(void* user_data, int64_t num_pieces,
                          void (*piece)(void* piece_data, int64_t index),
                          void* piece_data) = nullptr;
  void* user_data = nullptr;
  // Threads that may work on one call, the caller included; at least 1. Only
  // used to size workspaces and pieces; more threads than this are harmless.
  int num_threads = 1;
};

// Borrows what user_data points to: it must outlive the pool. Thread-safe as
// far as the callback is. A call from inside a piece or from inside the
// callback, and a call with one piece, run on their caller.
class HostThreadPool : public ThreadPool {
 public:
  // A null parallel_for gives a pool that runs everything on the caller.
  explicit HostThreadPool(const HostThreadPoolCallbacks& callbacks);

  int num_threads() const override;
  void ParallelFor(int64_t num_pieces,
                   absl::FunctionRef<void(int64_t)> piece) override;
  // The callback did not return 0, threw an exception, or left pieces out.
  bool TakeFailure() override;

 private:
  const HostThreadPoolCallbacks callbacks_;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_HOST_THREAD_POOL_H_
