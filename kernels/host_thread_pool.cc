#include "kernels/host_thread_pool.h"

#include <algorithm>

#include "kernels/nested_call.h"

namespace peft {
namespace kernels {
namespace {

using Piece = absl::FunctionRef<void(int64_t)>;

void CallPiece(void* piece_data, int64_t index) {
  NestedCall inside;
  (*static_cast<const Piece*>(piece_data))(index);
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
  if (callbacks_.parallel_for == nullptr || num_pieces <= 1 ||
      NestedCall::IsInsidePiece()) {
    return NestedCall::RunInline(num_pieces, piece);
  }
  callbacks_.parallel_for(callbacks_.user_data, num_pieces, &CallPiece, &piece);
}

}  // namespace kernels
}  // namespace peft
