#include "peft_cc/models/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/linear.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using kernels::ConstRows;
using kernels::LowRankSegment;
using kernels::MatrixView;
using kernels::Rows;

constexpr char kPurpose[] = "the workspace of a forward";
// Rows that a chunk has at most: enough to use each weight for many rows, so
// few that the workspace of a 7B shape is some 100 MB.
constexpr int64_t kChunkRows = 512;

// Positions of every batch row that run together.
int64_t ChunkLength(const ForwardBatch& batch) {
  return std::min(batch.length, std::max<int64_t>(1, kChunkRows / batch.batch));
}

// A whole weight as kernels take it.
MatrixView WeightView(const Tensor& weight) {
  MatrixView view;
  view.data = weight.data();
  view.dtype = weight.dtype();
  view.rows = weight.dim(0);
  view.cols = weight.dim(1);
  view.stride = weight.dim(1);
  return view;
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

// Floats that the adapter of an embedding needs for `rows` rows: the gathered
// columns of A, the product with B, and the linear kernel's own.
int64_t EmbeddingFloats(const LowRankSegment& segment, int64_t rows) {
  kernels::LinearPlan plan;
  plan.weight = segment.b;
  return rows * (segment.a.rows + segment.b.rows) +
         kernels::LinearWorkspaceFloats(plan, rows);
}

// The element (row, col) of `matrix` as f32.
float Element(const MatrixView& matrix, int64_t row, int64_t col) {
  const int64_t index = row * matrix.stride + col;
  const char* address =
      static_cast<const char*>(matrix.data) + index * DTypeSize(matrix.dtype);
  float value = 0;
  ConvertToF32(matrix.dtype, address, 1, &value);
  return value;
}

}  // namespace

Executor::Executor(const BaseModel& base, kernels::ThreadPool& pool)
    : base_(base),
      pool_(pool),
      norms_(base.weights().size()),
      buffers_(base.description().buffers.size(), nullptr) {
  for (const SiteInfo& site : base.description().sites) {
    if (site.kind != SiteKind::kNorm) continue;
    const Tensor& weight = base.weights()[site.weight];
    norms_[site.weight] = {weight.data(), weight.dtype(), weight.dim(0)};
  }
}

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
absl::Status Executor::ReserveWorkspace(int64_t rows, int64_t chunk_length,
                                        const Plan& plan,
                                        const KvCache& cache) {
  int64_t floats = kernels::AttentionWorkspaceFloats(
      ShapeOf(base_.config(), 0), chunk_length, cache.capacity(),
      pool_.num_threads());
  for (const Op& op : base_.description().ops) {
    if (op.kind == OpKind::kLinear) {
      floats = std::max(
          floats, kernels::LinearWorkspaceFloats(plan.linear(op.site), rows));
    } else if (op.kind == OpKind::kEmbed) {
      for (const LowRankSegment& segment : plan.embedding(op.site)) {
        floats = std::max(floats, EmbeddingFloats(segment, rows));
      }
    }
  }
  return workspace_.Reserve(floats, kPurpose);
}

absl::Status Executor::Prepare(const ForwardBatch& batch, const Plan& plan,
                               const KvCache& cache) {
  const int64_t chunk_length = ChunkLength(batch);
  const int64_t rows = chunk_length * batch.batch;
  const DecoderConfig& config = base_.config();
  PEFT_RETURN_IF_ERROR(ReserveRows(rows));
  PEFT_RETURN_IF_ERROR(ReserveWorkspace(rows, chunk_length, plan, cache));
  PEFT_RETURN_IF_ERROR(kept_.Reserve(
      CheckedProduct({batch.batch, batch.keep, config.hidden_size}), kPurpose));
  return logits_.Reserve(
      CheckedProduct({batch.batch, batch.keep, config.vocab_size}),
      "the logits; ask for fewer with logits_to_keep");
}

// Chunk after chunk through all layers: a later chunk attends to what earlier
// ones wrote to the cache.
void Executor::Run(const ForwardBatch& batch, const Plan& plan,
                   const RopeFrequencies& rope, KvCache& cache) {
  const Description& description = base_.description();
  const int64_t half = base_.config().head_dim / 2;
  const int64_t step = ChunkLength(batch);
  for (Chunk chunk; chunk.first < batch.length; chunk.first += step) {
    chunk.length = std::min(step, batch.length - chunk.first);
    const int64_t rows = batch.batch * chunk.length;
    GatherChunk(batch, chunk, cache);
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
        RunOp(op, plan, rows);
      }
    }
    KeepHidden(batch, chunk);
  }
  RunHead(plan, batch.batch * batch.keep);
}

// Ids and positions of the chunk, batch row after batch row, and its mask.
void Executor::GatherChunk(const ForwardBatch& batch, const Chunk& chunk,
                           KvCache& cache) {
  const int64_t cached = cache.length();
  for (int64_t row = 0; row < batch.batch; ++row) {
    for (int64_t i = 0; i < chunk.length; ++i) {
      const int64_t position = chunk.first + i;
      const int64_t from = row * batch.length + position;
      const int64_t to = row * chunk.length + i;
      ids_[to] = batch.ids[from];
      positions_[to] = batch.position_ids == nullptr ? cached + position
                                                     : batch.position_ids[from];
      cache.WriteMask(
          row, cached + position,
          batch.attention_mask == nullptr || batch.attention_mask[from] != 0);
    }
  }
}

// Copies the rows whose logits are asked for, so that the head runs once for
// all chunks, and over rows in the order in which logits are given back.
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
void Executor::RunHead(const Plan& plan, int64_t kept_rows) {
  const Description& description = base_.description();
  float* const hidden = buffers_[description.hidden_buffer];
  const int64_t vocabulary = base_.config().vocab_size;
  for (int64_t first = 0; first < kept_rows; first += reserved_rows_) {
    const int64_t rows = std::min(reserved_rows_, kept_rows - first);
    buffers_[description.hidden_buffer] =
        kept_.data() + first * base_.config().hidden_size;
    buffers_[description.logits_buffer] = logits_.data() + first * vocabulary;
    for (size_t i = description.head_begin; i < description.ops.size(); ++i) {
      RunOp(description.ops[i], plan, rows);
    }
  }
  buffers_[description.hidden_buffer] = hidden;
}

void Executor::RunOp(const Op& op, const Plan& plan, int64_t rows) {
  switch (op.kind) {
    case OpKind::kEmbed:
      RunEmbed(op, plan, rows);
      break;
    case OpKind::kRmsNorm:
      RunNorm(op, rows);
      break;
    case OpKind::kLinear:
      kernels::RunLinear(plan.linear(op.site), View(op.input, rows),
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
  kernels::RmsNorm(View(op.input, rows), norms_[op.weight],
                   base_.config().rms_norm_eps, View(op.output, rows), pool_);
}

void Executor::RunEmbed(const Op& op, const Plan& plan, int64_t rows) {
  const int weight = base_.description().sites[op.site].weight;
  const Rows output = View(op.output, rows);
  kernels::Embed(WeightView(base_.weights()[weight]), ids_.get(), output,
                 pool_);
  for (const LowRankSegment& segment : plan.embedding(op.site)) {
    AddEmbeddingAdapter(segment, output);
  }
}

// output[t] += scale * A[:, ids[t]]^T B^T.
void Executor::AddEmbeddingAdapter(const LowRankSegment& segment,
                                   const Rows& output) {
  const int64_t rank = segment.a.rows;
  if (rank == 0) return;
  const Rows reduced{workspace_.data(), output.rows, rank, rank};
  const Rows product{reduced.data + output.rows * rank, output.rows,
                     output.cols, output.cols};
  for (int64_t row = 0; row < output.rows; ++row) {
    for (int64_t i = 0; i < rank; ++i) {
      reduced.data[row * rank + i] =
          segment.scale * Element(segment.a, i, ids_[row]);
    }
  }
  kernels::LinearPlan plan;
  plan.weight = segment.b;
  kernels::RunLinear(plan, reduced, product,
                     product.data + output.rows * output.cols, pool_);
  kernels::AddRows(product, output, pool_);
}

// Row after row of the batch, as each has keys of its own; kernels share the
// heads of one row among the threads.
void Executor::RunAttention(const Op& op, const ForwardBatch& batch,
                            const Chunk& chunk, KvCache& cache) {
  const kernels::AttentionShape shape = ShapeOf(base_.config(), op.layer);
  const bool masked = cache.has_padding() || batch.has_padding;
  const int64_t first = cache.length() + chunk.first;
  const Rows queries = View(op.input, chunk.length);
  const Rows keys = View(op.input2, chunk.length);
  const Rows values = View(op.input3, chunk.length);
  const Rows output = View(op.output, chunk.length);
  for (int64_t row = 0; row < batch.batch; ++row) {
    const int64_t skip = row * chunk.length;
    const auto part = [&](Rows rows) {
      rows.data += skip * rows.stride;
      return rows;
    };
    cache.Write(op.layer, row, first, part(keys), part(values));
    kernels::Attention(shape, part(queries), first,
                       cache.View(op.layer, row, masked), part(output),
                       workspace_.data(), pool_);
  }
}

}  // namespace peft
