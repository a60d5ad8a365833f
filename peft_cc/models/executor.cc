#include "peft_cc/models/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using kernels::Rows;

constexpr char kPurpose[] = "the workspace of a forward";
// Rows that a chunk has at most: enough to use each weight for many rows, so
// few that the workspace of a 7B shape is some 100 MB.
constexpr int64_t kChunkRows = 512;

// Positions of every batch row that run together.
int64_t ChunkLength(const ForwardBatch& batch) {
  return std::min(batch.length, std::max<int64_t>(1, kChunkRows / batch.batch));
}

// Layers differ in their window only. The scale is the one of the paper for all
// families here.
kernels::AttentionShape ShapeOf(const DecoderConfig& config, int layer) {
  kernels::AttentionShape shape;
  shape.num_heads = config.num_attention_heads;
  shape.num_kv_heads = config.num_key_value_heads;
  shape.head_dim = config.head_dim;
  shape.scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  shape.sliding_window = config.sliding_windows[layer];
  return shape;
}

// The rows [first, first + count) of a view.
Rows Part(Rows rows, int64_t first, int64_t count) {
  rows.data += first * rows.stride;
  rows.rows = count;
  return rows;
}

}  // namespace

Executor::Executor(const BaseModel& base, kernels::ThreadPool& pool)
    : base_(base),
      pool_(pool),
      buffers_(base.description().buffers.size(), nullptr) {}

Rows Executor::View(int buffer, int64_t rows) const {
  const int64_t width = base_.description().buffers[buffer].width;
  return {buffers_[buffer], rows, width, width};
}

// One block for all buffers. The logits are not among them: only the head
// writes them, to memory of its own.
absl::Status Executor::ReserveRows(int64_t rows) {
  if (rows <= reserved_rows_) return absl::OkStatus();
  const Description& description = base_.description();
  int64_t width = 0;
  for (int i = 0; i < static_cast<int>(buffers_.size()); ++i) {
    if (i != description.logits_buffer) width += description.buffers[i].width;
  }
  std::unique_ptr<int64_t[]> ids(new (std::nothrow) int64_t[rows]);
  std::unique_ptr<int64_t[]> positions(new (std::nothrow) int64_t[rows]);
  if (ids == nullptr || positions == nullptr) return OutOfMemory(kPurpose);
  PEFT_RETURN_IF_ERROR(rope_tables_.Reserve(
      CheckedProduct({rows, base_.config().head_dim}), kPurpose));
  // Last: from here on the old buffers are gone.
  PEFT_RETURN_IF_ERROR(
      activations_.Reserve(CheckedProduct({rows, width}), kPurpose));
  float* next = activations_.data();
  for (int i = 0; i < static_cast<int>(buffers_.size()); ++i) {
    if (i == description.logits_buffer) continue;
    buffers_[i] = next;
    next += rows * description.buffers[i].width;
  }
  ids_ = std::move(ids);
  positions_ = std::move(positions);
  reserved_rows_ = rows;
  return absl::OkStatus();
}

// The greatest need of any operation; they run one after another. Attention is
// asked for the whole capacity of the cache, so that growing into it needs no
// more.
absl::Status Executor::ReserveWorkspace(const ForwardBatch& batch,
                                        const KvCache& cache) {
  const int64_t length = ChunkLength(batch);
  const int64_t rows = batch.batch * length;
  int64_t floats =
      kernels::AttentionWorkspaceFloats(ShapeOf(base_.config(), 0), length,
                                        cache.capacity(), pool_.num_threads());
  groups_.SetRange({length, 0, 0, rows});
  for (const Op& op : base_.description().ops) {
    if (op.kind == OpKind::kLinear) {
      floats =
          std::max(floats, kernels::LinearWorkspaceFloats(groups_.At(op.site)));
    } else if (op.kind == OpKind::kEmbed) {
      floats = std::max(floats,
                        kernels::EmbeddingWorkspaceFloats(groups_.At(op.site)));
    }
  }
  return workspace_.Reserve(floats, kPurpose);
}

absl::Status Executor::Prepare(const ForwardBatch& batch,
                               const KvCache& cache) {
  const int64_t rows = ChunkLength(batch) * batch.batch;
  const DecoderConfig& config = base_.config();
  PEFT_RETURN_IF_ERROR(ReserveRows(rows));
  PEFT_RETURN_IF_ERROR(groups_.Reserve(*batch.plans, batch.batch, rows));
  PEFT_RETURN_IF_ERROR(ReserveWorkspace(batch, cache));
  PEFT_RETURN_IF_ERROR(kept_.Reserve(
      CheckedProduct({batch.batch, batch.keep, config.hidden_size}), kPurpose));
  return logits_.Reserve(
      CheckedProduct({batch.batch, batch.keep, config.vocab_size}),
      "the logits; ask for fewer with logits_to_keep");
}

// Chunk after chunk through all layers: a later chunk attends to what earlier
// ones wrote to the cache.
void Executor::Run(const ForwardBatch& batch, const RopeFrequencies& rope,
                   KvCache& cache) {
  const Description& description = base_.description();
  const int64_t half = base_.config().head_dim / 2;
  const int64_t step = ChunkLength(batch);
  WriteTokens(batch, cache);
  for (Chunk chunk; chunk.first < batch.length; chunk.first += step) {
    chunk.length = std::min(step, batch.length - chunk.first);
    const int64_t rows = batch.batch * chunk.length;
    GatherChunk(batch, chunk, cache.length());
    groups_.SetRange({chunk.length, cache.length() + chunk.first, 0, rows});
    const Rows cos_table{rope_tables_.data(), rows, half, half};
    const Rows sin_table{rope_tables_.data() + rows * half, rows, half, half};
    FillRopeTables(rope, {positions_.get(), static_cast<size_t>(rows)},
                   cos_table, sin_table);
    for (int i = 0; i < description.head_begin; ++i) {
      const Op& op = description.ops[i];
      if (op.kind == OpKind::kAttention) {
        RunAttention(op, batch, chunk, cache);
      } else if (op.kind == OpKind::kRope) {
        kernels::Rope(View(op.input, rows), base_.config().head_dim, cos_table,
                      sin_table, pool_);
      } else {
        RunOp(op, rows);
      }
    }
    KeepHidden(batch, chunk);
  }
  RunHead(batch, cache.length());
  batch.plans->RestoreOrder(batch.keep * base_.config().vocab_size,
                            logits_.data());
}

// All of the input, before anything runs: a gate may open at its end.
void Executor::WriteTokens(const ForwardBatch& batch, KvCache& cache) {
  for (int64_t row = 0; row < batch.batch; ++row) {
    for (int64_t i = 0; i < batch.length; ++i) {
      const int64_t from = row * batch.length + i;
      cache.WriteToken(
          row, cache.length() + i, batch.ids[from],
          batch.attention_mask == nullptr || batch.attention_mask[from] != 0);
    }
  }
  const int64_t all = cache.length() + batch.length;
  groups_.FindGates(
      cache, batch.gate_tokens == 0 ? all : std::min(batch.gate_tokens, all));
}

// Ids and positions of the chunk, batch row after batch row in the order of
// the plans.
void Executor::GatherChunk(const ForwardBatch& batch, const Chunk& chunk,
                           int64_t cached) {
  for (int64_t row = 0; row < batch.batch; ++row) {
    for (int64_t i = 0; i < chunk.length; ++i) {
      const int64_t position = chunk.first + i;
      const int64_t from = batch.plans->RowAt(row) * batch.length + position;
      const int64_t to = row * chunk.length + i;
      ids_[to] = batch.ids[from];
      positions_[to] = batch.position_ids == nullptr ? cached + position
                                                     : batch.position_ids[from];
    }
  }
}

// Copies the rows whose logits are asked for, so that the head runs once for
// all chunks.
void Executor::KeepHidden(const ForwardBatch& batch, const Chunk& chunk) {
  const int64_t width = base_.config().hidden_size;
  const float* hidden = buffers_[base_.description().hidden_buffer];
  const int64_t keep_begin = batch.length - batch.keep;
  const int64_t begin = std::max(chunk.first, keep_begin);
  const int64_t count = chunk.first + chunk.length - begin;
  if (count <= 0) return;
  for (int64_t row = 0; row < batch.batch; ++row) {
    const int64_t from = row * chunk.length + begin - chunk.first;
    const int64_t to = row * batch.keep + begin - keep_begin;
    std::memcpy(kept_.data() + to * width, hidden + from * width,
                count * width * sizeof(float));
  }
}

// The final norm and the head, reading the kept rows in place of the hidden
// buffer.
void Executor::RunHead(const ForwardBatch& batch, int64_t cached) {
  const Description& description = base_.description();
  float* const hidden = buffers_[description.hidden_buffer];
  const int64_t vocabulary = base_.config().vocab_size;
  const int64_t kept_rows = batch.batch * batch.keep;
  for (int64_t first = 0; first < kept_rows; first += reserved_rows_) {
    const int64_t rows = std::min(reserved_rows_, kept_rows - first);
    groups_.SetRange(
        {batch.keep, cached + batch.length - batch.keep, first, rows});
    buffers_[description.hidden_buffer] =
        kept_.data() + first * base_.config().hidden_size;
    buffers_[description.logits_buffer] = logits_.data() + first * vocabulary;
    for (size_t i = description.head_begin; i < description.ops.size(); ++i) {
      RunOp(description.ops[i], rows);
    }
  }
  buffers_[description.hidden_buffer] = hidden;
}

void Executor::RunOp(const Op& op, int64_t rows) {
  switch (op.kind) {
    case OpKind::kEmbed:
      kernels::RunEmbedding(groups_.At(op.site), ids_.get(),
                            View(op.output, rows), workspace_.data(), pool_);
      break;
    case OpKind::kRmsNorm:
      RunNorm(op, rows);
      break;
    case OpKind::kLinear:
      kernels::RunLinear(groups_.At(op.site), View(op.input, rows),
                         View(op.output, rows), workspace_.data(), pool_);
      break;
    case OpKind::kGatedActivation:
      kernels::GatedActivation(base_.config().hidden_act, View(op.input, rows),
                               View(op.input2, rows), View(op.output, rows),
                               pool_);
      break;
    case OpKind::kAdd:
      kernels::AddRows(View(op.input, rows), View(op.output, rows), pool_);
      break;
    case OpKind::kRope:
    case OpKind::kAttention:
      break;  // need the chunk: Run calls them itself
  }
}

void Executor::RunNorm(const Op& op, int64_t rows) {
  const Rows input = View(op.input, rows);
  const Rows output = View(op.output, rows);
  groups_.ForEach([&](const Plan& plan, int64_t first, int64_t count) {
    kernels::RmsNorm(Part(input, first, count), plan.norm(op.site).weight,
                     base_.config().rms_norm_eps, Part(output, first, count),
                     pool_);
  });
}

// Row after row of the batch, as each has keys of its own; kernels share the
// heads of one row among the threads.
void Executor::RunAttention(const Op& op, const ForwardBatch& batch,
                            const Chunk& chunk, KvCache& cache) {
  const kernels::AttentionShape shape = ShapeOf(base_.config(), op.layer);
  const bool masked = cache.has_padding() || batch.has_padding;
  const int64_t first = cache.length() + chunk.first;
  const int64_t rows = batch.batch * chunk.length;
  const Rows queries = View(op.input, rows);
  const Rows keys = View(op.input2, rows);
  const Rows values = View(op.input3, rows);
  const Rows output = View(op.output, rows);
  for (int64_t i = 0; i < batch.batch; ++i) {
    const int64_t row = batch.plans->RowAt(i);
    const auto part = [&](const Rows& rows) {
      return Part(rows, i * chunk.length, chunk.length);
    };
    cache.Write(op.layer, row, first, part(keys), part(values));
    kernels::Attention(shape, part(queries), first,
                       cache.View(op.layer, row, masked), part(output),
                       workspace_.data(), pool_);
  }
}

}  // namespace peft
