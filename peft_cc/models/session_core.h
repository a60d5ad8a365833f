// What a session does, for Session's own parts only: forward and the state
// that it leaves behind.
#ifndef PEFT_CC_MODELS_SESSION_CORE_H_
#define PEFT_CC_MODELS_SESSION_CORE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/executor.h"
#include "peft_cc/models/forward_batch.h"
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

  // Of the last forward that went through; see ForwardOptions::outputs.
  HiddenStates last_hidden_state() const;
  HiddenStates pooler_output() const;

  // FAILED_PRECONDITION (MODEL_TASK) unless the model makes logits of the next
  // token.
  absl::Status CheckGenerates() const;
  // RESOURCE_EXHAUSTED (SEQUENCE_TOO_LONG) if the model has a table of
  // positions and `num_positions` are beyond it.
  absl::Status CheckTable(int64_t num_positions) const;

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
  absl::Status CheckOutputs(const ForwardInput& input,
                            const ForwardOptions& options) const;
  absl::Status CheckTokenTypes(const ForwardInput& input) const;
  absl::Status CheckPositions(const ForwardInput& input) const;
  // What a forward gives back when its options leave that open.
  uint32_t DefaultOutputs() const;
  // Points `batch` to the one token of each row that the head reads.
  void PoolTokens(const ForwardInput& input, ForwardBatch& batch);
  absl::Status RunBatch(const ForwardInput& input, const ForwardBatch& batch);

  const BaseModel& base_;
  kernels::ThreadPool& pool_;
  SessionOptions options_;
  KvCache cache_;
  std::optional<RopeFrequencies> rope_;  // where positions rotate
  Executor executor_;
  BatchPlan writer_;             // empty while the cache is
  std::vector<int64_t> pooled_;  // by batch row: a position
  uint32_t outputs_ = 0;         // of the last forward, if it went through
  int64_t batch_ = 0;            // the same
  int64_t length_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_SESSION_CORE_H_
