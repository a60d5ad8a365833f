#include "kernels/host_thread_pool.h"

#include <algorithm>

#include "kernels/nested_call.h"
#include "kernels/work_slot.h"

namespace peft {
namespace kernels {
namespace {

using Piece = WorkSlot::Piece;

// Callers, of all pools, that are served at once; further ones work alone.
constexpr uintptr_t kNumSlots = 64;

// Of the process, so that a host that calls a piece when its pool is gone finds
// a slot. They are never destroyed.
WorkSlot slots[kNumSlots];

// On the thread that called ParallelFor.
thread_local bool has_failed = false;

WorkSlot* TakeSlot() {
  for (WorkSlot& slot : slots) {
    if (slot.Take()) return &slot;
  }
  return nullptr;
}

// The bits of a round that a pointer has room for. On 32-bit systems these are
// the last 26: enough for whoever is not millions of rounds late.
constexpr auto kRoundBits = static_cast<uint32_t>(UINTPTR_MAX / kNumSlots);

// A round of a slot, as a pointer that nobody follows.
void* PieceData(const WorkSlot* slot, uint32_t round) {
  const auto index = static_cast<uintptr_t>(slot - slots);
  return reinterpret_cast<void*>(uintptr_t{round & kRoundBits} * kNumSlots +
                                 index);
}

void CallPiece(void* piece_data, int64_t) {
  const auto value = reinterpret_cast<uintptr_t>(piece_data);
  NestedCall inside;
  slots[value % kNumSlots].RunOnePieceOf(
      static_cast<uint32_t>(value / kNumSlots), kRoundBits);
}

}  // namespace

HostThreadPool::HostThreadPool(const HostThreadPoolCallbacks& callbacks)
    : callbacks_(callbacks) {}

int HostThreadPool::num_threads() const {
  return callbacks_.parallel_for == nullptr
             ? 1
             : std::max(1, callbacks_.num_threads);
}

void HostThreadPool::ParallelFor(int64_t num_pieces, Piece piece) {
  WorkSlot* const slot = callbacks_.parallel_for != nullptr && num_pieces > 1 &&
                                 !NestedCall::IsInsidePiece()
                             ? TakeSlot()
                             : nullptr;
  if (slot == nullptr) return NestedCall::RunInline(num_pieces, piece);
  NestedCall inside;
  for (int64_t first = 0; first < num_pieces; first += WorkSlot::kMaxRound) {
    const int64_t count = std::min(WorkSlot::kMaxRound, num_pieces - first);
    const uint32_t round = slot->Begin(piece, first, count);
    int32_t result = -1;
    try {
      result = callbacks_.parallel_for(callbacks_.user_data, count, &CallPiece,
                                       PieceData(slot, round));
    } catch (...) {
      // As a result that is not 0.
    }
    if (result != 0) has_failed = true;
    while (slot->RunOnePiece()) has_failed = true;
    slot->AwaitLastPieces();
  }
  slot->Release();
}

bool HostThreadPool::TakeFailure() {
  const bool failed = has_failed;
  has_failed = false;
  return failed;
}

}  // namespace kernels
}  // namespace peft
