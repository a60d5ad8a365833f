// Runs a model's description on the CPU, with the kernels of //kernels.
#ifndef PEFT_CC_MODELS_EXECUTOR_H_
#define PEFT_CC_MODELS_EXECUTOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/nn.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"
#include "peft_cc/models/activation_buffers.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/chunk_tokens.h"
#include "peft_cc/models/float_buffer.h"
#include "peft_cc/models/forward_batch.h"
#include "peft_cc/models/kv_cache.h"
#include "peft_cc/models/rope.h"
#include "peft_cc/models/row_groups.h"
#include "peft_cc/models/session_options.h"

namespace peft {

// The workspace and logits of one session. Activations are f32. Long inputs
// run in chunks of positions, or of batch rows where a token sees those after
// it, so that the workspace stays small. Thread-compatible.
class Executor {
 public:
  // Both must outlive the executor. `round_activations` is that of
  // SessionOptions.
  Executor(const BaseModel& base, kernels::ThreadPool& pool,
           bool round_activations);

  // Makes room for running `batch` on `cache`, which has room for the batch
  // already. Allocates nothing once it has been called for as large a batch.
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
  absl::Status Prepare(const ForwardBatch& batch, const KvCache& cache);

  // Runs a batch for which Prepare was called, writing `cache` beyond its
  // committed positions. `rope` is null for models without rotary positions.
  // Allocates nothing and cannot fail.
  void Run(const ForwardBatch& batch, const RopeFrequencies* rope,
           KvCache& cache);

  // What the last Run was asked for: (batch, keep, width of the logits),
  // (batch, length, hidden_size) and (batch, hidden_size).
  const float* logits() const { return logits_.data(); }
  const float* last_hidden_state() const { return last_hidden_.data(); }
  const float* pooler_output() const { return pooled_.data(); }

 private:
  // The largest chunk of a batch.
  ForwardChunk ChunkOf(const ForwardBatch& batch) const;

  // Makes room for chunks of `rows` tokens.
  absl::Status ReserveRows(int64_t rows);
  absl::Status ReserveWorkspace(const ForwardBatch& batch,
                                const KvCache& cache);

  absl::Status ReserveOutputs(const ForwardBatch& batch);

  void WriteTokens(const ForwardBatch& batch, KvCache& cache);
  void RunChunk(const ForwardBatch& batch, const ForwardChunk& chunk,
                const RopeFrequencies* rope, KvCache& cache);
  void FillRope(const RopeFrequencies& rope, int64_t rows);
  void KeepHidden(const ForwardBatch& batch, const ForwardChunk& chunk);
  void KeepLastHidden(const ForwardBatch& batch, const ForwardChunk& chunk);
  void RunHead(const ForwardBatch& batch, int64_t cached);
  // The operations from `first` on that run together, attention excepted.
  // Returns how many they were.
  int RunOps(int first, int64_t rows);
  void RunLinears(int first, int count, int64_t rows);
  void RunOp(const Op& op, int64_t rows);
  void RunNorm(const Op& op, int64_t rows);
  void RunAttention(const Op& op, const ForwardBatch& batch,
                    const ForwardChunk& chunk, KvCache& cache);
  kernels::Rows View(int buffer, int64_t rows) const;

  const BaseModel& base_;
  kernels::ThreadPool& pool_;
  const bool round_activations_;
  const bool past_caches_;  // see kernels::RunLinears
  RowGroups groups_;
  ActivationBuffers buffers_;
  ChunkTokens tokens_;
  FloatBuffer rope_tables_;
  kernels::Rows cos_table_;  // parts of these, for the chunk
  kernels::Rows sin_table_;
  FloatBuffer workspace_;
  FloatBuffer kept_;  // hidden rows that the head runs for
  FloatBuffer logits_;
  FloatBuffer last_hidden_;
  FloatBuffer pooled_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_EXECUTOR_H_
