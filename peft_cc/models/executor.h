// Runs a model's description on the CPU, with the kernels of //kernels.
#ifndef PEFT_CC_MODELS_EXECUTOR_H_
#define PEFT_CC_MODELS_EXECUTOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "kernels/nn.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/base_model.h"
#include "peft_cc/models/float_buffer.h"
#include "peft_cc/models/kv_cache.h"
#include "peft_cc/models/rope.h"
#include "peft_cc/models/row_groups.h"

namespace peft {

// One forward: what ForwardInput says, checked.
struct ForwardBatch {
  const int64_t* ids = nullptr;
  const int64_t* attention_mask = nullptr;  // null: no padding
  const int64_t* position_ids = nullptr;    // null: counted on from the cache
  int64_t batch = 0;
  int64_t length = 0;
  int64_t keep = 0;          // positions at the end of each row with logits
  bool has_padding = false;  // a 0 in attention_mask
  const BatchPlan* plans = nullptr;  // what each row runs
  // Gates look for their tokens among the first so many of each row, those in
  // the cache included; 0: all.
  int64_t gate_tokens = 0;
};

// The workspace and logits of one session. Activations are f32. Long inputs
// run in chunks of positions, so that the workspace stays small whatever their
// length. Thread-compatible.
class Executor {
 public:
  // Both must outlive the executor.
  Executor(const BaseModel& base, kernels::ThreadPool& pool);

  // Makes room for running `batch` on `cache`, which has room for the batch
  // already. Allocates nothing once it has been called for as large a batch.
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
  absl::Status Prepare(const ForwardBatch& batch, const KvCache& cache);

  // Runs a batch for which Prepare was called, writing `cache` beyond its
  // committed positions. Allocates nothing and cannot fail.
  void Run(const ForwardBatch& batch, const RopeFrequencies& rope,
           KvCache& cache);

  // (batch, keep, vocabulary) of the last Run.
  const float* logits() const { return logits_.data(); }

 private:
  // Positions [first, first + length) of all rows of a batch.
  struct Chunk {
    int64_t first = 0;
    int64_t length = 0;
  };

  // Indexed storage for `rows` rows of every buffer.
  absl::Status ReserveRows(int64_t rows);
  absl::Status ReserveWorkspace(const ForwardBatch& batch,
                                const KvCache& cache);

  void WriteTokens(const ForwardBatch& batch, KvCache& cache);
  void GatherChunk(const ForwardBatch& batch, const Chunk& chunk,
                   int64_t cached);
  void KeepHidden(const ForwardBatch& batch, const Chunk& chunk);
  void RunHead(const ForwardBatch& batch, int64_t cached);
  void RunOp(const Op& op, int64_t rows);
  void RunNorm(const Op& op, int64_t rows);
  void RunAttention(const Op& op, const ForwardBatch& batch, const Chunk& chunk,
                    KvCache& cache);
  kernels::Rows View(int buffer, int64_t rows) const;

  const BaseModel& base_;
  kernels::ThreadPool& pool_;
  RowGroups groups_;
  std::vector<float*> buffers_;  // by buffer id
  int64_t reserved_rows_ = 0;
  FloatBuffer activations_;
  FloatBuffer rope_tables_;
  FloatBuffer workspace_;
  FloatBuffer kept_;  // hidden rows whose logits are asked for
  FloatBuffer logits_;
  std::unique_ptr<int64_t[]> ids_;        // of a chunk
  std::unique_ptr<int64_t[]> positions_;  // of a chunk
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_EXECUTOR_H_
