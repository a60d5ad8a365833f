// Keeps calls that read a program's own weights apart from those that write
// them, without a lock: whoever comes second is told.
#ifndef PEFT_CC_MODELS_WEIGHTS_GATE_H_
#define PEFT_CC_MODELS_WEIGHTS_GATE_H_

#include <atomic>
#include <utility>

#include "absl/status/statusor.h"
#include "peft_cc/base/error.h"

namespace peft {

// Thread-safe.
class WeightsGate {
 public:
  // A gate that nobody needs lets all through.
  explicit WeightsGate(bool is_needed) : is_needed_(is_needed) {}

  // A call inside of the gate.
  class Use {
   public:
    Use(Use&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)), writes_(other.writes_) {}
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (gate_ == nullptr) return;
      if (writes_) gate_->is_written_.store(false);
      if (!writes_) gate_->readers_.fetch_sub(1);
    }

   private:
    friend class WeightsGate;
    Use(WeightsGate* gate, bool writes) : gate_(gate), writes_(writes) {}

    WeightsGate* gate_;
    bool writes_;
  };

  // FAILED_PRECONDITION (MODEL_BUSY) while another call writes.
  absl::StatusOr<Use> Read() {
    if (!is_needed_) return Use(nullptr, false);
    readers_.fetch_add(1);
    Use use(this, false);
    if (is_written_.load()) return Busy();
    return use;
  }

  // FAILED_PRECONDITION (MODEL_BUSY) while another call reads or writes.
  absl::StatusOr<Use> Write() {
    if (!is_needed_) return Use(nullptr, true);
    if (is_written_.exchange(true)) return Busy();
    Use use(this, true);
    if (readers_.load() != 0) return Busy();
    return use;
  }

 private:
  static absl::Status Busy() {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     error_id::kModelBusy,
                     "the program's own weights (writable_weights) are read or "
                     "written by another call that has not ended");
  }

  const bool is_needed_;
  std::atomic<int> readers_{0};
  std::atomic<bool> is_written_{false};
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_WEIGHTS_GATE_H_
