// Where parallel work runs: our pool, the host's, or the calling thread.
#ifndef KERNELS_THREAD_POOL_H_
#define KERNELS_THREAD_POOL_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace peft {
namespace kernels {

// Runs pieces of work. Thread-safe: several threads may call ParallelFor at
// once.
class ThreadPool {
 public:
  virtual ~ThreadPool() = default;

  // Threads that may work on one ParallelFor, the caller included.
  virtual int num_threads() const = 0;

  // Calls piece(i) once for each i in [0, num_pieces), from any of the
  // threads, in any order, and returns when all have returned. The caller
  // works too. Pieces must not throw.
  virtual void ParallelFor(int64_t num_pieces,
                           absl::FunctionRef<void(int64_t)> piece) = 0;

  // The same for work of a few microseconds, less than it costs to wake a
  // thread: only threads that are awake help. Without such, and in a pool that
  // cannot tell, the caller does it all.
  virtual void ParallelForBriefly(int64_t num_pieces,
                                  absl::FunctionRef<void(int64_t)> piece) {
    for (int64_t i = 0; i < num_pieces; ++i) piece(i);
  }

  // True where a ParallelFor of this thread was not carried out as asked since
  // the last call of this. All its pieces have run nevertheless.
  virtual bool TakeFailure() { return false; }
};

// A pool of `num_threads` (the caller counts as one; 0 = as many as the
// process may run on). Pieces are taken from a shared counter by whichever
// thread is free; a thread without work sleeps, and the caller, waiting for
// the last pieces, spins only briefly and then sleeps: a thread that the
// system has taken away delays its current piece and nothing else. No thread
// is started before the first ParallelFor that needs one.
//
// The pool's own threads, not those that call it, run on `processors`, as the
// system numbers them; none: wherever it likes. With some, a num_threads of 0
// is their number. FirstRefusedProcessor must have found nothing: a processor
// that the system takes away later is left out, as it does with any thread.
std::unique_ptr<ThreadPool> CreateThreadPool(
    int num_threads, absl::Span<const int> processors = {});

// The index of the first of `processors` on which the system lets no thread of
// this process run, -1 if there is none; 0 on a system without affinity. A
// short-lived thread tries.
int FirstRefusedProcessor(absl::Span<const int> processors);

// Runs everything on the calling thread. Never freed.
ThreadPool& InlineThreadPool();

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_THREAD_POOL_H_
