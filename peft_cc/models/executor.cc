#include "peft_cc/models/executor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/ops_together.h"

namespace peft {
namespace {

using kernels::Rows;

constexpr char kPurpose[] = "the workspace of a forward";
// Rows that a chunk has at most: enough to use each weight for many rows, so
// few that the workspace of a 7B shape is some 100 MB.
constexpr int64_t kChunkRows = 512;

// The rows [first, first + count) of a view.
Rows Part(Rows rows, int64_t first, int64_t count) {
  rows.data += first * rows.stride;
  rows.rows = count;
  return rows;
}

}  // namespace

Executor::Executor(const BaseModel& base, kernels::ThreadPool& pool,
                   bool round_activations)
    : base_(base),
      pool_(pool),
      round_activations_(round_activations),
      past_caches_(kernels::ExceedsCaches(base.size_bytes())),
      buffers_(base.description()) {}

Rows Executor::View(int buffer, int64_t rows) const {
  return buffers_.View(buffer, rows);
}

ForwardChunk Executor::ChunkOf(const ForwardBatch& batch) const {
  ForwardChunk chunk;
  if (base_.config().is_causal) {
    chunk.rows = batch.batch;
    chunk.length =
        std::min(batch.length, std::max<int64_t>(1, kChunkRows / batch.batch));
  } else {
    chunk.rows =
        std::min(batch.batch, std::max<int64_t>(1, kChunkRows / batch.length));
    chunk.length = batch.length;
  }
  return chunk;
}

absl::Status Executor::ReserveRows(int64_t rows) {
  PEFT_RETURN_IF_ERROR(tokens_.Reserve(rows, kPurpose));
  if (base_.config().positions == PositionKind::kRotary) {
    PEFT_RETURN_IF_ERROR(rope_tables_.Reserve(
        CheckedProduct({rows, base_.config().head_dim}), kPurpose));
  }
  return buffers_.Reserve(rows, kPurpose);
}

// The greatest need of any operation; they run one after another. Attention is
// asked for the whole capacity of the cache, so that growing into it needs no
// more.
absl::Status Executor::ReserveWorkspace(const ForwardBatch& batch,
                                        const KvCache& cache) {
  const ForwardChunk chunk = ChunkOf(batch);
  int64_t floats = 0;
  groups_.SetRange({chunk.length, 0, 0, chunk.tokens()});
  const std::vector<Op>& ops = base_.description().ops;
  for (int i = 0; i < static_cast<int>(ops.size()); ++i) {
    const Op& op = ops[i];
    if (op.kind == OpKind::kLinear) {
      int64_t together = 0;
      const int end = i + NumOpsTogether(ops, i);
      for (;; ++i) {
        together += kernels::LinearWorkspaceFloats(groups_.At(ops[i].site));
        if (i + 1 == end) break;
      }
      floats = std::max(floats, together);
    } else if (op.kind == OpKind::kEmbed) {
      floats = std::max(floats,
                        kernels::EmbeddingWorkspaceFloats(groups_.At(op.site)));
    } else if (op.kind == OpKind::kAttention) {
      floats = std::max(floats, kernels::AttentionWorkspaceFloats(
                                    op.attention, chunk.length,
                                    cache.capacity(), pool_.num_threads()));
    }
  }
  return workspace_.Reserve(floats, kPurpose);
}

absl::Status Executor::ReserveOutputs(const ForwardBatch& batch) {
  const Description& description = base_.description();
  const int64_t hidden = base_.config().hidden_size;
  if ((batch.outputs & kLastHiddenState) != 0) {
    PEFT_RETURN_IF_ERROR(last_hidden_.Reserve(
        CheckedProduct({batch.batch, batch.length, hidden}),
        "the last hidden state; run fewer tokens at once"));
  }
  if ((batch.outputs & (kLogits | kPoolerOutput)) == 0) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(kept_.Reserve(
      CheckedProduct({batch.batch, batch.keep, hidden}), kPurpose));
  if (description.pooler_buffer >= 0) {
    PEFT_RETURN_IF_ERROR(
        pooled_.Reserve(CheckedProduct({batch.batch, hidden}), kPurpose));
  }
  if (description.logits_buffer < 0) return absl::OkStatus();
  return logits_.Reserve(
      CheckedProduct({batch.batch, batch.keep,
                      description.buffers[description.logits_buffer].width}),
      "the logits; ask for fewer with logits_to_keep");
}

absl::Status Executor::Prepare(const ForwardBatch& batch,
                               const KvCache& cache) {
  const int64_t rows = ChunkOf(batch).tokens();
  PEFT_RETURN_IF_ERROR(ReserveRows(rows));
  PEFT_RETURN_IF_ERROR(groups_.Reserve(*batch.plans, batch.batch, rows));
  PEFT_RETURN_IF_ERROR(ReserveWorkspace(batch, cache));
  return ReserveOutputs(batch);
}

// Chunk after chunk through all layers: a later chunk attends to what earlier
// ones wrote to the cache.
void Executor::Run(const ForwardBatch& batch, const RopeFrequencies* rope,
                   KvCache& cache) {
  const ForwardChunk largest = ChunkOf(batch);
  WriteTokens(batch, cache);
  ForwardChunk chunk;
  for (; chunk.first_row < batch.batch; chunk.first_row += largest.rows) {
    chunk.rows = std::min(largest.rows, batch.batch - chunk.first_row);
    for (chunk.first = 0; chunk.first < batch.length;
         chunk.first += largest.length) {
      chunk.length = std::min(largest.length, batch.length - chunk.first);
      RunChunk(batch, chunk, rope, cache);
    }
  }
  if ((batch.outputs & (kLogits | kPoolerOutput)) != 0) {
    RunHead(batch, cache.length());
  }
}

void Executor::RunChunk(const ForwardBatch& batch, const ForwardChunk& chunk,
                        const RopeFrequencies* rope, KvCache& cache) {
  const Description& description = base_.description();
  const int64_t rows = chunk.tokens();
  tokens_.Gather(batch, chunk, cache.length());
  groups_.SetRange({chunk.length, cache.length() + chunk.first,
                    chunk.first_row * chunk.length, rows});
  if (rope != nullptr) FillRope(*rope, rows);
  const bool wants_head = (batch.outputs & (kLogits | kPoolerOutput)) != 0;
  const bool wants_hidden = (batch.outputs & kLastHiddenState) != 0;
  for (int i = 0; i < description.head_begin;) {
    const Op& op = description.ops[i];
    if (op.needs_token_types && batch.token_type_ids == nullptr) {
      ++i;
    } else if (op.kind == OpKind::kAttention) {
      RunAttention(op, batch, chunk, cache);
      ++i;
    } else {
      i += RunOps(i, rows);
    }
  }
  if (wants_head) KeepHidden(batch, chunk);
  if (!wants_hidden) return;
  for (int i = description.head_begin; i < description.logits_begin;) {
    i += RunOps(i, rows);
  }
  KeepLastHidden(batch, chunk);
}

void Executor::FillRope(const RopeFrequencies& rope, int64_t rows) {
  const int64_t half = base_.config().head_dim / 2;
  cos_table_ = {rope_tables_.data(), rows, half, half};
  sin_table_ = {rope_tables_.data() + rows * half, rows, half, half};
  FillRopeTables(rope, tokens_.positions(), cos_table_, sin_table_);
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

// Copies the rows that the head runs for, so that it runs once for all chunks.
void Executor::KeepHidden(const ForwardBatch& batch,
                          const ForwardChunk& chunk) {
  const int64_t width = base_.config().hidden_size;
  const float* hidden = buffers_.data(base_.description().hidden_buffer);
  for (int64_t i = 0; i < chunk.rows; ++i) {
    const int64_t row = chunk.first_row + i;
    const int64_t keep_begin = batch.keep_at == nullptr
                                   ? batch.length - batch.keep
                                   : batch.keep_at[batch.plans->RowAt(row)];
    const int64_t begin = std::max(chunk.first, keep_begin);
    const int64_t end =
        std::min(chunk.first + chunk.length, keep_begin + batch.keep);
    if (begin >= end) continue;
    const int64_t from = i * chunk.length + begin - chunk.first;
    const int64_t to = row * batch.keep + begin - keep_begin;
    std::memcpy(kept_.data() + to * width, hidden + from * width,
                (end - begin) * width * sizeof(float));
  }
}

// Copies the chunk's part of the last hidden state to the batch's order.
void Executor::KeepLastHidden(const ForwardBatch& batch,
                              const ForwardChunk& chunk) {
  const int64_t width = base_.config().hidden_size;
  const float* hidden = buffers_.data(base_.description().last_hidden_buffer);
  for (int64_t i = 0; i < chunk.rows; ++i) {
    const int64_t row = batch.plans->RowAt(chunk.first_row + i);
    std::memcpy(
        last_hidden_.data() + (row * batch.length + chunk.first) * width,
        hidden + i * chunk.length * width,
        chunk.length * width * sizeof(float));
  }
}

// What follows the layers, reading the kept rows in place of the hidden buffer.
// A model with a pooler keeps one row per batch row.
void Executor::RunHead(const ForwardBatch& batch, int64_t cached) {
  const Description& description = base_.description();
  const int pooler = description.pooler_buffer;
  const int logits = description.logits_buffer;
  const int64_t hidden_width = base_.config().hidden_size;
  const int64_t width = logits < 0 ? 0 : description.buffers[logits].width;
  float* const hidden = buffers_.data(description.hidden_buffer);
  const int64_t kept_rows = batch.batch * batch.keep;
  const int64_t step = ChunkOf(batch).tokens();
  for (int64_t first = 0; first < kept_rows; first += step) {
    const int64_t rows = std::min(step, kept_rows - first);
    groups_.SetRange(
        {batch.keep, cached + batch.length - batch.keep, first, rows});
    buffers_.Point(description.hidden_buffer,
                   kept_.data() + first * hidden_width);
    if (pooler >= 0)
      buffers_.Point(pooler, pooled_.data() + first * hidden_width);
    if (logits >= 0) buffers_.Point(logits, logits_.data() + first * width);
    const int num_ops = static_cast<int>(description.ops.size());
    for (int i = description.head_begin; i < num_ops;) i += RunOps(i, rows);
  }
  buffers_.Point(description.hidden_buffer, hidden);
  if (pooler >= 0) batch.plans->RestoreOrder(hidden_width, pooled_.data());
  if (logits >= 0) {
    batch.plans->RestoreOrder(batch.keep * width, logits_.data());
  }
}

int Executor::RunOps(int first, int64_t rows) {
  const std::vector<Op>& ops = base_.description().ops;
  const int count = NumOpsTogether(ops, first);
  if (ops[first].kind == OpKind::kLinear) {
    RunLinears(first, count, rows);
  } else {
    RunOp(ops[first], rows);
  }
  return count;
}

void Executor::RunLinears(int first, int count, int64_t rows) {
  const Op* const ops = &base_.description().ops[first];
  std::array<kernels::LinearCall, kernels::kMaxLinears> calls;
  for (int i = 0; i < count; ++i) {
    calls[i] = {groups_.At(ops[i].site, i), View(ops[i].output, rows),
                round_activations_};
  }
  kernels::RunLinears({calls.data(), static_cast<size_t>(count)},
                      View(ops[0].input, rows), workspace_.data(), pool_,
                      past_caches_);
}

void Executor::RunOp(const Op& op, int64_t rows) {
  switch (op.kind) {
    case OpKind::kEmbed:
      kernels::RunEmbedding(groups_.At(op.site), tokens_.IndexesOf(op.source),
                            View(op.output, rows), workspace_.data(), pool_);
      break;
    case OpKind::kRmsNorm:
    case OpKind::kLayerNorm:
      RunNorm(op, rows);
      break;
    case OpKind::kActivation:
      kernels::Activate(op.activation, View(op.input, rows),
                        View(op.output, rows), pool_);
      break;
    case OpKind::kGatedActivation:
      kernels::GatedActivation(op.activation, View(op.input, rows),
                               View(op.input2, rows), View(op.output, rows),
                               pool_);
      break;
    case OpKind::kAdd:
      kernels::AddRows(View(op.input, rows), View(op.output, rows), pool_);
      break;
    case OpKind::kRope:
      kernels::Rope(View(op.input, rows), op.attention.head_dim, cos_table_,
                    sin_table_, pool_);
      break;
    case OpKind::kLinear:
    case OpKind::kAttention:
      break;  // RunLinears; RunChunk, as it needs the chunk
  }
}

void Executor::RunNorm(const Op& op, int64_t rows) {
  const Rows input = View(op.input, rows);
  const Rows output = View(op.output, rows);
  const auto run = [&](const NormPlan& norm, int64_t first, int64_t count) {
    if (op.kind == OpKind::kLayerNorm) {
      kernels::LayerNorm(Part(input, first, count), norm.weight, norm.bias,
                         op.epsilon, Part(output, first, count), pool_);
    } else {
      kernels::RmsNorm(Part(input, first, count), norm.weight, op.epsilon,
                       Part(output, first, count), pool_);
    }
  };
  groups_.ForEachNorm(op.site, run);
}

// Row after row of the batch, as each has keys of its own; kernels share the
// heads of one row among the threads. Tokens that see those after them find all
// keys in the chunk itself, so no cache keeps them.
void Executor::RunAttention(const Op& op, const ForwardBatch& batch,
                            const ForwardChunk& chunk, KvCache& cache) {
  const bool masked = cache.has_padding() || batch.has_padding;
  const int64_t rows = chunk.tokens();
  const Rows queries = View(op.input, rows);
  const Rows keys = View(op.input2, rows);
  const Rows values = View(op.input3, rows);
  const Rows output = View(op.output, rows);
  for (int64_t i = 0; i < chunk.rows; ++i) {
    const int64_t row = batch.plans->RowAt(chunk.first_row + i);
    const auto part = [&](const Rows& all) {
      return Part(all, i * chunk.length, chunk.length);
    };
    int64_t first = 0;
    kernels::KvView kv;
    if (op.attention.causal) {
      first = cache.length() + chunk.first;
      cache.Write(op.layer, row, first, part(keys), part(values));
      kv = cache.View(op.layer, row, masked);
    } else {
      kv = {part(keys).data, part(values).data, keys.stride,
            masked ? cache.mask(row) : nullptr};
    }
    kernels::Attention(op.attention, part(queries), first, kv, part(output),
                       workspace_.data(), pool_);
  }
}

}  // namespace peft
