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

class OwnThreadPool : public ThreadPool {
 public:
  explicit OwnThreadPool(int num_threads) : num_threads_(num_threads) {}

  ~OwnThreadPool() override {
    stop_.store(true);
    Announce(num_threads_);
    for (std::thread& thread : threads_) thread.join();
  }

  int num_threads() const override { return num_threads_; }

  void ParallelFor(int64_t num_pieces, Piece piece) override {
    WorkSlot* const slot =
        num_pieces > 1 && num_threads_ > 1 && !NestedCall::IsInsidePiece()
            ? TakeSlot()
            : nullptr;
    if (slot == nullptr) return NestedCall::RunInline(num_pieces, piece);
    std::call_once(started_, [this] { StartThreads(); });
    for (int64_t first = 0; first < num_pieces; first += WorkSlot::kMaxRound) {
      RunRound(*slot, first, std::min(WorkSlot::kMaxRound, num_pieces - first),
               piece);
    }
    slot->Release();
  }

 private:
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
                const Piece& piece) {
    slot.Begin(piece, first, num_pieces);
    Announce(static_cast<int>(std::min<int64_t>(num_pieces, num_threads_) - 1));
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

std::unique_ptr<ThreadPool> CreateThreadPool(int num_threads) {
  return std::make_unique<OwnThreadPool>(
      num_threads > 0 ? num_threads : AvailableProcessors());
}

ThreadPool& InlineThreadPool() {
  static CallerOnly* const pool = new CallerOnly;
  return *pool;
}

}  // namespace kernels
}  // namespace peft
