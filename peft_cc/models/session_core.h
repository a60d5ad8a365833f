// What a session does, for Session's own parts only: forward and the state
// that it leaves behind.
#ifndef PEFT_CC_MODELS_SESSION_CORE_H_
#define PEFT_CC_MODELS_SESSION_CORE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/executor.h"
#include "peft_cc/models/kv_cache.h"
#include "peft_cc/models/rope.h"
#include "peft_cc/models/session_options.h"

namespace peft {

// Thread-compatible.
class SessionCore {
 public:
  // `base` and `pool` must outlive the session.
  SessionCore(const BaseModel& base, kernels::ThreadPool& pool,
              const SessionOptions& options);

  // Session::Forward under `plans`, whatever options say of them. A forward
  // that went through leaves `plans` as those that wrote the cache. Gates look
  // for what opens them among the first `gate_tokens` tokens of each row, those
  // in the cache included; 0: among all.
  absl::StatusOr<Logits> Forward(const ForwardInput& input,
                                 const ForwardOptions& options,
                                 const BatchPlan& plans,
                                 int64_t gate_tokens = 0);

  // Everything that Forward checks of the input itself.
  absl::Status CheckInput(const ForwardInput& input) const;

  // Forgets the cache, what the rotary embedding remembers of earlier lengths,
  // and which activation wrote it. Keeps the memory.
  void Reset();

  const BaseModel& base() const { return base_; }
  // SessionOptions::max_length; 0: no limit.
  int64_t max_length() const { return options_.max_length; }
  int64_t cache_length() const { return cache_.length(); }

 private:
  absl::Status CheckState(const ForwardInput& input,
                          const ForwardOptions& options,
                          const BatchPlan& plans) const;

  const BaseModel& base_;
  SessionOptions options_;
  KvCache cache_;
  RopeFrequencies rope_;
  Executor executor_;
  BatchPlan writer_;  // empty while the cache is
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_SESSION_CORE_H_
