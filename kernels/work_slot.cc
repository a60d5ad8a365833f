#include "kernels/work_slot.h"

namespace peft {
namespace kernels {
namespace {

uint32_t LeftOf(uint64_t ticket) { return static_cast<uint32_t>(ticket); }

uint32_t RoundOf(uint64_t ticket) {
  return static_cast<uint32_t>(ticket >> 32);
}

}  // namespace

uint32_t WorkSlot::Begin(const Piece& piece, int64_t first,
                         int64_t num_pieces) {
  piece_ = &piece;
  first_ = first;
  num_pieces_ = num_pieces;
  unfinished_.Set(static_cast<uint32_t>(num_pieces));
  const uint32_t round = RoundOf(ticket_.load()) + 1;
  ticket_.store(uint64_t{round} << 32 | static_cast<uint64_t>(num_pieces));
  return round;
}

bool WorkSlot::Claim(uint64_t* ticket) {
  return ticket_.compare_exchange_weak(*ticket, *ticket - 1,
                                       std::memory_order_acq_rel,
                                       std::memory_order_acquire);
}

void WorkSlot::RunClaimed(uint64_t ticket) {
  (*piece_)(first_ + num_pieces_ - LeftOf(ticket));
  unfinished_.Done();
}

bool WorkSlot::RunOnePiece() {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  do {
    if (LeftOf(ticket) == 0) return false;
  } while (!Claim(&ticket));
  RunClaimed(ticket);
  return true;
}

bool WorkSlot::RunOnePieceOf(uint32_t round, uint32_t mask) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  do {
    const bool is_other = ((RoundOf(ticket) ^ round) & mask) != 0;
    if (LeftOf(ticket) == 0 || is_other) return false;
  } while (!Claim(&ticket));
  RunClaimed(ticket);
  return true;
}

}  // namespace kernels
}  // namespace peft
