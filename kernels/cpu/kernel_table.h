// The inner loops that exist once per instruction set, as plain C data.
//
// The files that include this are compiled with flags for instructions that
// the machine may lack. An inline function of a shared header, compiled there
// and picked by the linker for everybody, would crash older machines; so this
// header has none, and those files include nothing else that has any.
#ifndef KERNELS_CPU_KERNEL_TABLE_H_
#define KERNELS_CPU_KERNEL_TABLE_H_

#include <cstdint>

namespace peft {
namespace kernels {
namespace cpu {

// How weights are stored. The last three are codes, see kernels/view.h.
enum Elem : int {
  kElemF32 = 0,
  kElemBF16 = 1,
  kElemF16 = 2,
  kElemTable4 = 3,
  kElemQ4 = 4,
  kElemQ8 = 5,
};

// One product x W^T of a sum: output o of row t gains sum_i x[t][i] W[o][i].
struct Term {
  const void* weight;  // (outputs, k), or (k, outputs) if transposed
  Elem elem;
  bool transposed;
  int64_t stride;  // elements between rows of weight as stored
  int64_t k;
  const float* x;
  int64_t x_stride;
  // Of codes, which are never transposed; k is a multiple of `block`.
  const void* scales;  // f32 of kElemTable4, else bf16
  int64_t block;
  const float* values;
  bool interleaved;  // see kernels/view.h; only the first term of a product
  // Rows of x as pack_inputs has laid them out, `packed_stride` floats apart;
  // null where linear_few is to read x itself.
  const float* packed;
  int64_t packed_stride;
  // Of linear_many: where not null, output o is row o % stack_outputs of the
  // matrix stack[o / stack_outputs], all of them as `weight`, which is the
  // first. No codes, not transposed; stack_outputs is a multiple of 16.
  const void* const* stack;
  int64_t stack_outputs;
};

// Memory that is read soon.
struct MemoryRange {
  const char* from;
  int64_t bytes;
};

// y[t][o] = ((accumulate ? y[t][o] : 0) + scale * (sum of the terms)) *
// out_scale[o] + bias[o] for all rows t and first_output <= o < last_output. y,
// out_scale and bias are indexed by o itself. Each y[t][o] comes from the same
// operations in the same order whatever the other rows and outputs of the tile
// are.
struct LinearTile {
  const Term* terms;
  int num_terms;
  int64_t rows;
  int64_t first_output;
  int64_t last_output;
  const float* out_scale;  // null: all 1
  const void* bias;        // null: none
  Elem bias_elem;
  float scale;
  bool accumulate;
  // The first term's x may be rounded to bf16 where its weights are bf16, too.
  bool round_inputs;
  float* y;
  int64_t y_stride;
  // Of linear_few with one row: KernelTable's bytes_ahead, and the weights that
  // are read after those of the first term, or null. What follows there in the
  // order of addresses may never be needed.
  int64_t bytes_ahead;
  const char* next;
  // Of linear_few: fetch weights past the outer caches.
  bool past_caches;
  // Of linear_many: what others read after it, to be fetched into L2 meanwhile;
  // a hint.
  const MemoryRange* fetches;
  int num_fetches;
};

// out[r][c] = (weight[r][c] + sum_k left[r][k] right[k][c]) * row_factor[r] *
// col_factor[c], accumulated in f32 over k in order. `out` may be `weight`.
struct MergeBlock {
  const void* weight;
  Elem weight_elem;
  int64_t weight_stride;  // elements, as out_stride
  const float* left;
  int64_t left_stride;
  const float* right;  // panels as `pack` makes them, from column 0 on
  int64_t k;
  int64_t rows;
  int64_t cols;
  const float* row_factor;  // null: all 1
  const float* col_factor;  // null: all 1
  void* out;
  Elem out_elem;
  int64_t out_stride;
};

// Some query rows that share one head of keys and values, against the keys
// [first_key, last_key). Row r is query position first_position + r / group.
struct AttentionTile {
  const float* queries;  // scaled, (rows, head_dim), contiguous
  int64_t rows;
  int64_t group;
  int64_t first_position;
  int64_t head_dim;
  int64_t window;  // 0: none
  bool causal;     // else rows see all keys that mask shows; no window
  const float* keys;
  const float* values;
  int64_t kv_stride;
  const uint8_t* mask;  // by key position; null: none
  int64_t first_key;    // a multiple of kKeyTile
  int64_t last_key;
  float* scores;  // scratch, (rows, kKeyTile)
};

// Keys that attention takes at once: fits scores and panels into L1.
constexpr int64_t kKeyTile = 64;

// Softmax sums over a range of keys, to be divided by `sum` at the end.
// max is -infinity, sum and values are 0 for a row without allowed keys.
struct AttentionSums {
  float* max;     // (rows)
  float* sum;     // (rows)
  float* values;  // (rows, head_dim)
};

struct KernelTable {
  const char* name;
  // Outputs that one step of linear_many makes: tiles start at multiples.
  int64_t panel_width;
  // By dot products, reads weights once, for few rows; no transposed terms.
  // first_output is even. An interleaved term must be packed where
  // packed_inputs is not 0, and then both first_output and last_output are
  // multiples of 16.
  void (*linear_few)(const LinearTile& tile);
  // How far ahead it is to fetch weights for one row. What it fetches itself
  // takes one of few places of the processor (24 on Zen 4, which reads 22 GB/s
  // so), what the processor fetches on its own does not (30 GB/s, within a
  // page): 1 KiB. Zen 5 reads a tenth faster with 8 KiB, Sapphire Rapids bf16
  // in two thirds of the time.
  int64_t bytes_ahead;
  // Weights of more bytes than these, read in turn, are not found in the outer
  // caches again, and are better fetched past them: Zen 5 reads f32 a tenth
  // faster so, bf16 a fortieth. Sapphire Rapids reads at less than half its
  // rate then; no other processor has been measured.
  int64_t cached_bytes;
  // Floats of one row of x, laid out for linear_few with a term of codes; 0
  // where it reads x itself.
  int64_t (*packed_inputs)(const Term& term);
  // Lays out the term's first `rows` rows of x at term.packed, an address of 64
  // bytes.
  void (*pack_inputs)(const Term& term, int64_t rows, float* packed);
  // By register tiles on repacked weights, for many rows.
  void (*linear_many)(const LinearTile& tile);
  // Outputs that a call of linear_many should have at once, where there are as
  // many: what it prepares serves all of them.
  int64_t (*outputs_at_once)(const LinearTile& tile);
  // Whether it prepares x and not weights, and is better called with few rows
  // and all outputs.
  bool (*packs_rows)(const LinearTile& tile);
  // The outputs [first, last) of a term's weight, in f32, laid out as
  // linear_many and merge_block read them: panels[i][v] = the weight of output
  // first + v for input i, panel_width outputs to a row, 0 past the last.
  // `first` is a multiple of panel_width; last - first is at most that.
  void (*pack)(const Term& term, int64_t first, int64_t last, float* panel);
  void (*merge_block)(const MergeBlock& block);
  void (*to_f32)(Elem elem, const void* source, int64_t count, float* out);
  // To nearest, ties to even; too large becomes infinity, NaN stays NaN.
  void (*from_f32)(Elem elem, const float* source, int64_t count, void* out);
  // The sums over tile's keys.
  void (*attend)(const AttentionTile& tile, const AttentionSums& sums);
  // total becomes the sums over the keys of both.
  void (*merge)(int64_t rows, int64_t head_dim, const AttentionSums& part,
                const AttentionSums& total);
  // One group of RmsNorm.
  void (*rms_norm)(const float* x, Elem elem, const void* weight, int64_t count,
                   float epsilon, float* y);
  // One row of LayerNorm; bias may be null. y may be x.
  void (*layer_norm)(const float* x, Elem weight_elem, const void* weight,
                     Elem bias_elem, const void* bias, int64_t count,
                     float epsilon, float* y);
  // One head: rotates (x[i], x[i + half]).
  void (*rotate)(float* x, int64_t half, const float* cos, const float* sin);
  void (*gated_silu)(const float* gate, const float* up, int64_t n, float* y);
  void (*gated_gelu)(const float* gate, const float* up, int64_t n, float* y);
  void (*gated_gelu_tanh)(const float* gate, const float* up, int64_t n,
                          float* y);
  void (*gated_relu)(const float* gate, const float* up, int64_t n, float* y);
  void (*gated_tanh)(const float* gate, const float* up, int64_t n, float* y);
  // The same functions of one argument. y may be x.
  void (*silu)(const float* x, int64_t n, float* y);
  void (*gelu)(const float* x, int64_t n, float* y);
  void (*gelu_tanh)(const float* x, int64_t n, float* y);
  void (*relu)(const float* x, int64_t n, float* y);
  void (*tanh)(const float* x, int64_t n, float* y);
  void (*add)(const float* x, int64_t n, float* y);
  // y = x * factor.
  void (*scale)(const float* x, float factor, int64_t n, float* y);
  int64_t (*argmax)(const float* x, int64_t n);
};

// Better products of few rows for a table that has all else. They read x as
// that table lays it out.
struct FewKernels {
  const char* name;
  void (*linear_few)(const LinearTile& tile);
};

// The same for many rows. What is null stays as it is.
struct ManyKernels {
  const char* name;
  void (*linear_many)(const LinearTile& tile);
  int64_t (*outputs_at_once)(const LinearTile& tile);
  bool (*packs_rows)(const LinearTile& tile);
};

}  // namespace cpu
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_KERNEL_TABLE_H_
