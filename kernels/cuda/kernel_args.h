// The parameters of our kernels, and the tables in device memory that they
// read, as both the host and the device see them. Sizes are in elements, and
// device addresses of 0 mean "none" where a comment allows it.
#ifndef KERNELS_CUDA_KERNEL_ARGS_H_
#define KERNELS_CUDA_KERNEL_ARGS_H_

#include <cstdint>

#include "kernels/cuda/driver_types.h"

namespace peft {
namespace kernels {
namespace cuda {

// Rows and outputs of a tile: those of one tensor core instruction.
constexpr int kTileRows = 16;
constexpr int kTileOutputs = 8;
// Threads of a block, and of a fused launch's block: two groups of as many.
constexpr int kThreads = 128;
constexpr int kFusedThreads = 2 * kThreads;

// One additive low-rank term, in device memory: exchanging adapters is writing
// these, and no captured graph knows them.
struct LowRankTerm {
  DevicePtr a = 0;           // (rank, in)
  DevicePtr b = 0;           // (out, rank)
  DevicePtr rank_scale = 0;  // f32, (rank); 0: all 1
  DevicePtr gate = 0;        // f32, a factor for each row of T; 0: all 1
  float scale = 0;
  int32_t rank = 0;    // may be 0: the term is nothing
  int32_t column = 0;  // where its part of T begins
  int32_t unused = 0;
};

// Up to kTileRows rows in a row with the same terms, in device memory. Without
// rows it is skipped.
struct RowTile {
  int32_t first_row = 0;
  int32_t num_rows = 0;
  int32_t first_term = 0;
  int32_t num_terms = 0;
};

// What shrink, expand and fused share. For shrink and expand T, f32, is
// (splits, rows, columns): each split is the sum over a part of x, and their
// sum is x A^T. It is read fastest where `columns` and all terms' `column` are
// multiples of 4.
struct LowRankArgs {
  DevicePtr tiles = 0;  // RowTile
  DevicePtr terms = 0;  // LowRankTerm
  DevicePtr t = 0;
  // int32, where in x and y a row of the tiles is; 0: at its own place.
  DevicePtr places = 0;
  int64_t rows = 0;
  int32_t num_tiles = 0;
  int32_t columns = 0;  // sum of a tile's ranks, at most
  int32_t chunks = 0;  // groups of 8 ranks, each of one term, of a tile at most
  int32_t splits = 1;
};

struct InputArgs {
  DevicePtr x = 0;
  int64_t stride = 0;
  int64_t size = 0;
};

// y = (p + sum of the terms) out_scale + bias, where p is x W^T, or what y
// holds.
struct OutputArgs {
  DevicePtr y = 0;
  int64_t stride = 0;
  int64_t size = 0;
  DevicePtr weight = 0;     // (out, in), for fused; 0: p is what y holds
  DevicePtr out_scale = 0;  // f32, (out); 0: all 1
  DevicePtr bias = 0;       // f32, (out); 0: none
};

struct ShrinkArgs {
  LowRankArgs low_rank;
  InputArgs input;
};

struct ExpandArgs {
  LowRankArgs low_rank;
  OutputArgs output;
};

// A fused launch computes 16 outputs of up to 8 times kRowTiles rows at a time;
// kRowTiles is 1, 2 or 4. Terms are cut into units of 16 ranks.
constexpr int kFusedOutputs = 16;
constexpr int kFusedColumns = 8;
constexpr int kMaxFusedRows = 32;
constexpr int kUnitRanks = 16;
// Elements of a row that a warp copies, and multiplies, at a time: 128 bytes.
constexpr int kStageSize = 64;
// Numbers from a row's sums to the next one's. 4 more than there are: threads
// that write at the same time write to all banks.
constexpr int kFusedSumStride = kFusedOutputs + 4;
// Of shared memory, for each unit and for each row.
constexpr int kFusedUnitBytes = 40;
constexpr int kFusedUnitsOfRowBytes = 8;

constexpr int FusedStageBytes(int row_tiles) {
  return (kFusedOutputs + kFusedColumns * row_tiles) * kStageSize * 2;
}
// Of the rows of a term's tile.
constexpr int FusedTermTiles(int row_tiles) {
  return row_tiles < 2 ? row_tiles : kTileRows / kFusedColumns;
}

// x, W, A and B have one type of 16 bits. x, W and A begin at multiples of 16
// bytes, and their rows have a multiple of 8 elements. Rows that are in no tile
// have no terms. T is (splits, t_numbers). The blocks count themselves in
// `arrived` and `left`, two uint32 of device memory that are 0 before and after
// each launch. Launches that run at the same time need their own, as they need
// their own T.
struct FusedArgs {
  LowRankArgs low_rank;
  InputArgs input;
  OutputArgs output;
  DevicePtr arrived = 0;
  DevicePtr left = 0;
  int32_t stages = 0;     // of each warp's ring: 2 to 9
  int32_t units = 0;      // at most; 0: there are no terms
  int32_t t_numbers = 0;  // kUnitRanks for each row of a unit, at most
  int32_t unused = 0;
};

// y[row, ids[i]] = x[row] patch[i].
struct PatchArgs {
  InputArgs input;
  DevicePtr y = 0;
  int64_t stride = 0;
  int64_t rows = 0;
  DevicePtr patch = 0;  // (num_ids, in)
  DevicePtr ids = 0;    // int64
  int64_t num_ids = 0;
};

// out[row, i] = x[row, i] factor[i / repeat].
struct ScaleInputArgs {
  InputArgs input;
  DevicePtr out = 0;
  int64_t stride = 0;
  int64_t rows = 0;
  DevicePtr factor = 0;  // f32; 0: all 1
  int64_t repeat = 1;
};

// y = (y - before) factor + after, per output. Each of the three is f32, or 0
// for none.
struct ScaleOutputArgs {
  DevicePtr y = 0;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t size = 0;
  DevicePtr before = 0;
  DevicePtr factor = 0;
  DevicePtr after = 0;
};

// factor = magnitude / ||W + s B A||, as MagnitudeScale has it. `scale` is f32
// in device memory: changing it needs no new graph.
struct MagnitudeArgs {
  DevicePtr factor = 0;     // f32, (out)
  DevicePtr magnitude = 0;  // f32, (out)
  DevicePtr norm0 = 0;      // f64, (out)
  DevicePtr norm1 = 0;
  DevicePtr norm2 = 0;
  DevicePtr scale = 0;
  int64_t size = 0;
};

// y[row] = table[ids[row]], or the row of `patch` whose id it is.
struct GatherArgs {
  DevicePtr y = 0;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t size = 0;
  DevicePtr ids = 0;      // int64, (rows): rows of the table, in range
  DevicePtr table = 0;    // (n, size)
  DevicePtr patch = 0;    // (num_patched, size); 0: none
  DevicePtr patched = 0;  // int64, (num_patched), rising
  int64_t num_patched = 0;
};

// T[row, column + j] = A[j, ids[row]]: shrink for embeddings, A is (rank, n).
struct GatherColumnsArgs {
  LowRankArgs low_rank;
  DevicePtr ids = 0;    // int64, (rows)
  int64_t entries = 0;  // n
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_KERNEL_ARGS_H_
