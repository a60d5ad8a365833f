#include "kernels/thread_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
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

namespace peft {
namespace kernels {
namespace {

// How long a thread looks for work, or for its last piece, before it sleeps.
// Decoding starts the next operation within a few microseconds, and a futex
// wake-up costs more than that; longer spinning only takes time from others.
constexpr std::chrono::microseconds kSpin(20);

// A caller that waited longer than this for others' last pieces, and longer
// than it had worked itself, was held up by a thread that the system had taken
// away. It then works alone for so many times as long, at most kMaxAlone:
// otherwise that thread would be taken away in the middle of a piece again and
// again.
constexpr std::chrono::microseconds kHeldUp(500);
constexpr int kAloneFactor = 8;
constexpr std::chrono::milliseconds kMaxAlone(50);

using Clock = std::chrono::steady_clock;

// Callers that are served at once; further ones work alone.
constexpr int kNumSlots = 8;

// Pieces of one round, so that they fit the low half of Slot::ticket.
constexpr int64_t kMaxRound = int64_t{1} << 30;

using Piece = absl::FunctionRef<void(int64_t)>;

// One ParallelFor at a time. Slots live as long as the pool, so a late worker
// may look at one that has been reused; only a successful claim gives the right
// to read `piece`, `first` and `num_pieces`, and until that piece is done the
// slot cannot be reused.
struct alignas(64) Slot {
  std::atomic<bool> taken{false};
  // High half: counts rounds, so that a stale compare-exchange fails. Low half:
  // pieces that nobody has taken yet.
  std::atomic<uint64_t> ticket{0};
  std::atomic<uint32_t> unfinished{0};
  std::atomic<uint32_t> caller_sleeps{0};
  const Piece* piece = nullptr;
  int64_t first = 0;
  int64_t num_pieces = 0;
};

bool RunOnePiece(Slot& slot) {
  uint64_t ticket = slot.ticket.load(std::memory_order_acquire);
  do {
    if (static_cast<uint32_t>(ticket) == 0) return false;
  } while (!slot.ticket.compare_exchange_weak(ticket, ticket - 1,
                                              std::memory_order_acq_rel,
                                              std::memory_order_acquire));
  const int64_t left = static_cast<uint32_t>(ticket);
  (*slot.piece)(slot.first + slot.num_pieces - left);
  if (slot.unfinished.fetch_sub(1) == 1 && slot.caller_sleeps.load() != 0) {
    FutexWake(slot.unfinished, 1);
  }
  return true;
}

// Calls done() until it is true or kSpin has passed. Yields each time: where
// another thread wants this core, it gets it.
template <typename Done>
bool SpinBriefly(Done done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 8; ++i) {
      if (done()) return true;
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

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
    Slot* const slot = num_pieces > 1 && num_threads_ > 1 &&
                               !NestedCall::IsInsidePiece() && !WorksAlone()
                           ? TakeSlot()
                           : nullptr;
    if (slot == nullptr) return NestedCall::RunInline(num_pieces, piece);
    std::call_once(started_, [this] { StartThreads(); });
    for (int64_t first = 0; first < num_pieces; first += kMaxRound) {
      RunRound(*slot, first, std::min(kMaxRound, num_pieces - first), piece);
    }
    slot->taken.store(false, std::memory_order_release);
  }

 private:
  Slot* TakeSlot() {
    for (Slot& slot : slots_) {
      if (!slot.taken.load(std::memory_order_relaxed) &&
          !slot.taken.exchange(true, std::memory_order_acquire)) {
        return &slot;
      }
    }
    return nullptr;
  }

  void StartThreads() {
    for (int i = 1; i < num_threads_; ++i) {
      if (!StartThread(threads_, [this] { Work(); })) return;
    }
  }

  void RunRound(Slot& slot, int64_t first, int64_t num_pieces,
                const Piece& piece) {
    slot.piece = &piece;
    slot.first = first;
    slot.num_pieces = num_pieces;
    slot.unfinished.store(static_cast<uint32_t>(num_pieces));
    const uint64_t round = (slot.ticket.load() >> 32) + 1;
    slot.ticket.store(round << 32 | static_cast<uint64_t>(num_pieces));
    Announce(static_cast<int>(std::min<int64_t>(num_pieces, num_threads_) - 1));
    const Clock::time_point start = Clock::now();
    {
      NestedCall inside;
      while (RunOnePiece(slot)) {
      }
    }
    const Clock::time_point done = Clock::now();
    AwaitLastPieces(slot);
    NoteWait(done - start, Clock::now() - done);
  }

  void NoteWait(Clock::duration worked, Clock::duration waited) {
    if (waited <= std::max<Clock::duration>(kHeldUp, worked)) return;
    const Clock::duration alone =
        std::min<Clock::duration>(kAloneFactor * waited, kMaxAlone);
    alone_until_.store((Clock::now() + alone).time_since_epoch().count(),
                       std::memory_order_relaxed);
  }

  bool WorksAlone() {
    const Clock::rep until = alone_until_.load(std::memory_order_relaxed);
    if (until == 0) return false;
    if (Clock::now().time_since_epoch().count() < until) return true;
    alone_until_.store(0, std::memory_order_relaxed);
    return false;
  }

  static void AwaitLastPieces(Slot& slot) {
    if (SpinBriefly([&] { return slot.unfinished.load() == 0; })) return;
    slot.caller_sleeps.store(1);
    while (const uint32_t left = slot.unfinished.load()) {
      FutexWait(slot.unfinished, left);
    }
    slot.caller_sleeps.store(0);
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
      for (Slot& slot : slots_) {
        while (RunOnePiece(slot)) {
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
  std::array<Slot, kNumSlots> slots_;
  alignas(64) std::atomic<uint32_t> changes_{0};
  alignas(64) std::atomic<int> num_sleeping_{0};
  std::atomic<bool> stop_{false};
  std::atomic<Clock::rep> alone_until_{0};  // 0: not alone
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
