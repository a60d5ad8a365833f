// The other operations of a model. All activations are f32 rows; weights
// are in their own dtype. Nothing here allocates.
#ifndef KERNELS_NN_H_
#define KERNELS_NN_H_

#include <cstdint>

#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// y[t] = table[ids[t]]; ids are in range (checked by the caller). table is
// (vocabulary, width).
void Embed(const MatrixView& table, const int64_t* ids, Rows y,
           ThreadPool& pool);

// y = x / sqrt(mean(x^2) + epsilon) * weight, per group of weight.size columns
// (one group: a plain RMSNorm; several: the per-head norm of Qwen3). The
// squares are summed in f32 as transformers does. y may be x.
void RmsNorm(ConstRows x, const VectorView& weight, float epsilon, Rows y,
             ThreadPool& pool);

// Rotates the pairs (i, i + head_dim / 2) of each head in place, as
// transformers' rotate_half. cos_table and sin_table are (rows, head_dim / 2):
// one row per row of x, already scaled by the attention factor.
void Rope(Rows x, int64_t head_dim, ConstRows cos_table, ConstRows sin_table,
          ThreadPool& pool);

// y = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias, per row,
// with the variance over n. No bias where its data is null. y may be x.
void LayerNorm(ConstRows x, const VectorView& weight, const VectorView& bias,
               float epsilon, Rows y, ThreadPool& pool);

// kGelu is x Phi(x), kGeluTanh its approximation by tanh.
enum class Activation { kSilu, kGelu, kGeluTanh, kRelu, kTanh };

// y = activation(x). y may be x.
void Activate(Activation activation, ConstRows x, Rows y, ThreadPool& pool);

// y = activation(gate) * up. y may be gate.
void GatedActivation(Activation activation, ConstRows gate, ConstRows up,
                     Rows y, ThreadPool& pool);

// y += x.
void AddRows(ConstRows x, Rows y, ThreadPool& pool);

// One batch row's keys and values: position-major, (capacity, kv_heads *
// head_dim) each.
struct KvView {
  const float* keys = nullptr;
  const float* values = nullptr;
  int64_t stride = 0;  // floats from one position to the next
  // Which positions may be attended to; null means all. 0 = masked.
  const uint8_t* mask = nullptr;
};

struct AttentionShape {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1.0f;          // multiplies q k^T
  int64_t sliding_window = 0;  // 0: none; else keys j with i - j < window
  bool causal = true;          // false: rows see later keys, too; no window
};

// Attention of `queries` (n rows at cache positions first_position ..
// first_position + n - 1, already in the cache) over cache positions
// [0, first_position + n), where a causal query sees none after its own. A
// query without any allowed key gives zeros. output: (n, num_heads * head_dim).
// workspace: AttentionWorkspaceFloats for the pool's threads. Keys and values
// below first_position + n are read even where they are masked (their weight is
// 0): they must be finite. Results do not depend on the pool's number of
// threads, nor those of a row on the other rows of the call, except that the
// order of its sums is another where up to 8 rows of heads share keys.
void Attention(const AttentionShape& shape, ConstRows queries,
               int64_t first_position, const KvView& kv, Rows output,
               float* workspace, ThreadPool& pool);

// For calls of up to `rows` rows that end at up to `num_positions` positions.
int64_t AttentionWorkspaceFloats(const AttentionShape& shape, int64_t rows,
                                 int64_t num_positions, int num_threads);

// The index of the largest value, the first of several. NaN is never the
// largest; 0 where there is nothing else.
int64_t Argmax(const float* values, int64_t n);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_NN_H_
