// Runs a model's description on the CPU, with the kernels of //kernels.
#ifndef PEFT_CC_MODELS_EXECUTOR_H_
#define PEFT_CC_MODELS_EXECUTOR_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "kernels/nn.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/activation_buffers.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/float_buffer.h"
#include "peft_cc/models/kv_cache.h"
#include "peft_cc/models/rope.h"
#include "peft_cc/models/row_groups.h"
#include "peft_cc/models/session_options.h"

namespace peft {

// One forward: what ForwardInput says, checked.
struct ForwardBatch {
  const int64_t* ids = nullptr;
  const int64_t* attention_mask = nullptr;  // null: no padding
  const int64_t* position_ids = nullptr;    // null: counted on from the cache
  int64_t batch = 0;
  int64_t length = 0;
  const int64_t* token_type_ids = nullptr;  // null: none, or all 0
  int64_t keep = 0;  // positions of each row that the head runs for: the last
  // Which position that is, where keep is 1 and it is another; else null.
  const int64_t* keep_at = nullptr;
  uint32_t outputs = 0;              // ForwardOutput bits, at least one
  bool has_padding = false;          // a 0 in attention_mask
  const BatchPlan* plans = nullptr;  // what each row runs
  // Gates look for their tokens among the first so many of each row, those in
  // the cache included; 0: all.
  int64_t gate_tokens = 0;
};

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
  // Positions [first, first + length) of the batch rows [first_row, first_row +
  // rows), counted in the order of the plans.
  struct Chunk {
    int64_t first_row = 0;
    int64_t rows = 0;
    int64_t first = 0;
    int64_t length = 0;

    int64_t tokens() const { return rows * length; }
  };

  // The largest chunk of a batch.
  Chunk ChunkOf(const ForwardBatch& batch) const;

  // Makes room for chunks of `rows` tokens.
  absl::Status ReserveRows(int64_t rows);
  absl::Status ReserveWorkspace(const ForwardBatch& batch,
                                const KvCache& cache);

  absl::Status ReserveOutputs(const ForwardBatch& batch);

  void WriteTokens(const ForwardBatch& batch, KvCache& cache);
  void RunChunk(const ForwardBatch& batch, const Chunk& chunk,
                const RopeFrequencies* rope, KvCache& cache);
  void FillRope(const RopeFrequencies& rope, int64_t rows);
  void GatherChunk(const ForwardBatch& batch, const Chunk& chunk,
                   int64_t cached);
  void KeepHidden(const ForwardBatch& batch, const Chunk& chunk);
  void KeepLastHidden(const ForwardBatch& batch, const Chunk& chunk);
  void RunHead(const ForwardBatch& batch, int64_t cached);
  // The operations from `first` on that run together, attention excepted.
  // Returns how many they were.
  int RunOps(int first, int64_t rows);
  void RunLinears(int first, int count, int64_t rows);
  void RunOp(const Op& op, int64_t rows);
  void RunNorm(const Op& op, int64_t rows);
  // What an embedding is indexed with, by row of the chunk.
  const int64_t* IndexesOf(TokenSource source) const;
  void RunAttention(const Op& op, const ForwardBatch& batch, const Chunk& chunk,
                    KvCache& cache);
  kernels::Rows View(int buffer, int64_t rows) const;

  const BaseModel& base_;
  kernels::ThreadPool& pool_;
  const bool round_activations_;
  const bool past_caches_;  // see kernels::RunLinears
  RowGroups groups_;
  ActivationBuffers buffers_;
  int64_t reserved_rows_ = 0;
  FloatBuffer rope_tables_;
  kernels::Rows cos_table_;  // parts of these, for the chunk
  kernels::Rows sin_table_;
  FloatBuffer workspace_;
  FloatBuffer kept_;  // hidden rows that the head runs for
  FloatBuffer logits_;
  FloatBuffer last_hidden_;
  FloatBuffer pooled_;
  // Of a chunk.
  std::unique_ptr<int64_t[]> ids_;
  std::unique_ptr<int64_t[]> positions_;
  std::unique_ptr<int64_t[]> token_types_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_EXECUTOR_H_
