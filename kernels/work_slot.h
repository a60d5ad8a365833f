// The pieces of one ParallelFor, taken from a counter by whichever thread
// comes.
#ifndef KERNELS_WORK_SLOT_H_
#define KERNELS_WORK_SLOT_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/countdown.h"

namespace peft {
namespace kernels {

// One ParallelFor at a time, as rounds. A slot must outlive every thread that
// may still look at it: a late one may find that it has been reused; only a
// successful claim gives the right to read what the round is about, and until
// that piece is done the slot cannot be reused. Thread-safe.
class alignas(64) WorkSlot {
 public:
  using Piece = absl::FunctionRef<void(int64_t)>;

  // Pieces of one round, so that they fit the low half of the ticket.
  static constexpr int64_t kMaxRound = int64_t{1} << 30;

  // Takes the slot for a ParallelFor, unless another has it.
  bool Take() {
    return !taken_.load(std::memory_order_relaxed) &&
           !taken_.exchange(true, std::memory_order_acquire);
  }
  // Gives it back when the last round has ended.
  void Release() { taken_.store(false, std::memory_order_release); }

  // Lets threads claim pieces [first, first + num_pieces), at most kMaxRound of
  // them. `piece` must live until AwaitLastPieces returns. Returns the round.
  uint32_t Begin(const Piece& piece, int64_t first, int64_t num_pieces);

  // Runs a piece of the round that runs; false where none is left.
  bool RunOnePiece();
  // The same if that is round `round`, in the bits of `mask`.
  bool RunOnePieceOf(uint32_t round, uint32_t mask);

  // Returns when all pieces of the round, which have all been claimed, are
  // done.
  void AwaitLastPieces() { unfinished_.Await(); }

 private:
  // Claims a piece; `ticket` is what was seen.
  bool Claim(uint64_t* ticket);
  void RunClaimed(uint64_t ticket);

  std::atomic<bool> taken_{false};
  // High half: counts rounds, so that a stale compare-exchange fails. Low half:
  // pieces that nobody has taken yet.
  std::atomic<uint64_t> ticket_{0};
  Countdown unfinished_;
  const Piece* piece_ = nullptr;
  int64_t first_ = 0;
  int64_t num_pieces_ = 0;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_WORK_SLOT_H_
