// Knows whether the current thread is inside a piece of a ParallelFor: a
// ParallelFor called there runs on its caller alone, so that no pool ever waits
// for itself.
#ifndef KERNELS_NESTED_CALL_H_
#define KERNELS_NESTED_CALL_H_

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace peft {
namespace kernels {

// While one is alive, its thread counts as inside a piece.
class NestedCall {
 public:
  NestedCall() : before_(inside_) { inside_ = true; }
  ~NestedCall() { inside_ = before_; }
  NestedCall(const NestedCall&) = delete;
  NestedCall& operator=(const NestedCall&) = delete;

  static bool IsInsidePiece() { return inside_; }

  static void RunInline(int64_t num_pieces,
                        absl::FunctionRef<void(int64_t)> piece) {
    for (int64_t i = 0; i < num_pieces; ++i) piece(i);
  }

 private:
  static thread_local bool inside_;
  bool before_;
};

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_NESTED_CALL_H_
