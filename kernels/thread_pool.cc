#include "kernels/thread_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#endif

#include "kernels/countdown.h"
#include "kernels/futex.h"
#include "kernels/nested_call.h"
#include "kernels/work_slot.h"

namespace peft {
namespace kernels {
namespace {

// Callers that are served at once; further ones work alone.
constexpr int kNumSlots = 8;

using Piece = WorkSlot::Piece;

int AvailableProcessors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// Starts a thread on which no signal handler of the host ever runs. Returns
// false where the system has no thread to give.
template <typename Body>
bool StartThread(std::vector<std::thread>& threads, Body body) {
#if defined(__unix__) || defined(__APPLE__)
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  bool started = true;
  try {
    threads.emplace_back(body);
  } catch (const std::exception&) {
    started = false;
  }
#if defined(__unix__) || defined(__APPLE__)
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  return started;
}

// Lets the calling thread run on these processors only. False where the system
// refuses all of them, or has no affinity.
bool RunOn(absl::Span<const int> processors) {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int processor : processors) {
    if (processor < 0 || processor >= CPU_SETSIZE) return false;
    CPU_SET(processor, &set);
  }
  return sched_setaffinity(0, sizeof(set), &set) == 0;
#else
  return processors.empty();
#endif
}

class OwnThreadPool : public ThreadPool {
 public:
  OwnThreadPool(int num_threads, absl::Span<const int> processors)
      : num_threads_(num_threads),
        processors_(processors.begin(), processors.end()) {}

  ~OwnThreadPool() override {
    stop_.store(true);
    Announce(num_threads_);
    for (std::thread& thread : threads_) thread.join();
  }

  int num_threads() const override { return num_threads_; }

  void ParallelFor(int64_t num_pieces, Piece piece) override {
    Run(num_pieces, piece, Helpers::kAll);
  }

  void ParallelForBriefly(int64_t num_pieces, Piece piece) override {
    Run(num_pieces, piece, Helpers::kAwake);
  }

 private:
  // Who is told of a round.
  enum class Helpers { kAll, kAwake };

  void Run(int64_t num_pieces, const Piece& piece, Helpers helpers) {
    WorkSlot* const slot =
        num_pieces > 1 && num_threads_ > 1 && !NestedCall::IsInsidePiece()
            ? TakeSlot()
            : nullptr;
    if (slot == nullptr) return NestedCall::RunInline(num_pieces, piece);
    std::call_once(started_, [this] { StartThreads(); });
    for (int64_t first = 0; first < num_pieces; first += WorkSlot::kMaxRound) {
      RunRound(*slot, first, std::min(WorkSlot::kMaxRound, num_pieces - first),
               piece, helpers);
    }
    slot->Release();
  }

  WorkSlot* TakeSlot() {
    for (WorkSlot& slot : slots_) {
      if (slot.Take()) return &slot;
    }
    return nullptr;
  }

  void StartThreads() {
    for (int i = 1; i < num_threads_; ++i) {
      if (!StartThread(threads_, [this] { Work(); })) return;
    }
  }

  void RunRound(WorkSlot& slot, int64_t first, int64_t num_pieces,
                const Piece& piece, Helpers helpers) {
    slot.Begin(piece, first, num_pieces);
    if (helpers == Helpers::kAwake) {
      changes_.fetch_add(1);
    } else {
      Announce(
          static_cast<int>(std::min<int64_t>(num_pieces, num_threads_) - 1));
    }
    {
      NestedCall inside;
      while (slot.RunOnePiece()) {
      }
    }
    slot.AwaitLastPieces();
  }

  // Lets up to `count` sleeping workers know that something has changed. The
  // order (change, then look for sleepers; a worker: count itself, then look
  // for changes) makes sure that one of the two sees the other.
  void Announce(int count) {
    changes_.fetch_add(1);
    if (num_sleeping_.load() > 0) FutexWake(changes_, count);
  }

  void Work() {
    if (!processors_.empty()) RunOn(processors_);
    NestedCall inside;
    for (;;) {
      const uint32_t seen = changes_.load();
      if (stop_.load()) return;
      for (WorkSlot& slot : slots_) {
        while (slot.RunOnePiece()) {
        }
      }
      AwaitChange(seen);
    }
  }

  void AwaitChange(uint32_t seen) {
    if (SpinBriefly([&] { return changes_.load() != seen; })) return;
    num_sleeping_.fetch_add(1);
    if (changes_.load() == seen) FutexWait(changes_, seen);
    num_sleeping_.fetch_sub(1);
  }

  const int num_threads_;
  const std::vector<int> processors_;
  std::once_flag started_;
  std::vector<std::thread> threads_;
  std::array<WorkSlot, kNumSlots> slots_;
  alignas(64) std::atomic<uint32_t> changes_{0};
  alignas(64) std::atomic<int> num_sleeping_{0};
  std::atomic<bool> stop_{false};
};

class CallerOnly : public ThreadPool {
 public:
  int num_threads() const override { return 1; }
  void ParallelFor(int64_t num_pieces, Piece piece) override {
    NestedCall::RunInline(num_pieces, piece);
  }
};

}  // namespace

std::unique_ptr<ThreadPool> CreateThreadPool(int num_threads,
                                             absl::Span<const int> processors) {
  if (num_threads <= 0) {
    num_threads = processors.empty() ? AvailableProcessors()
                                     : static_cast<int>(processors.size());
  }
  return std::make_unique<OwnThreadPool>(num_threads, processors);
}

int FirstRefusedProcessor(absl::Span<const int> processors) {
  int refused = -1;
  std::vector<std::thread> thread;
  const bool started = StartThread(thread, [&] {
    for (size_t i = 0; i < processors.size() && refused < 0; ++i) {
      if (!RunOn(processors.subspan(i, 1))) refused = static_cast<int>(i);
    }
  });
  // Without any thread to give, the system will not start those of a pool.
  if (started) thread[0].join();
  return refused;
}

ThreadPool& InlineThreadPool() {
  static CallerOnly* const pool = new CallerOnly;
  return *pool;
}

}  // namespace kernels
}  // namespace peft
