// Attention of nn.h: cuts the work and merges the parts; the math is in
// cpu/attention.inc.

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"
#include "kernels/lanes.h"
#include "kernels/nn.h"

namespace peft {
namespace kernels {
namespace {

using cpu::AttentionSums;
using cpu::AttentionTile;

// Query rows (positions x heads of a group) that share a pass over the keys:
// enough to make up for repacking these, so few that all of it stays in L2.
constexpr int64_t kTileRows = 96;

// Keys whose sums are made in one go. All sums of a row are made over the same
// chunks and merged in order, whether by one thread or by several, so the
// result is the same.
constexpr int64_t kChunk = 4 * cpu::kKeyTile;

// Where tiles of queries alone give at least so many pieces, chunks of keys
// are not handed out on their own.
constexpr int64_t kEnoughPieces = 16;

// Below this many multiplications, waking a thread costs more than it gives.
constexpr int64_t kInlineWork = 32 * 1024;

// The arrays of AttentionSums for `rows` rows, laid out from `data` on.
AttentionSums SumsAt(float* data, int64_t rows) {
  return {data, data + rows, data + 2 * rows};
}

// How the work is cut. The cut depends on shapes only.
struct Cut {
  Cut(const AttentionShape& shape_in, int64_t rows_in, int64_t positions)
      : shape(shape_in),
        rows(rows_in),
        group(shape.num_heads / shape.num_kv_heads),
        tile_positions(std::max<int64_t>(1, kTileRows / group)),
        tile_rows(tile_positions * group),
        num_tiles((rows + tile_positions - 1) / tile_positions),
        num_chunks((positions + kChunk - 1) / kChunk),
        split(num_chunks > 1 &&
              num_tiles * shape.num_kv_heads < kEnoughPieces) {}

  int64_t SumsFloats() const { return tile_rows * (2 + shape.head_dim); }
  // Queries, scores, one part's and the total sums.
  int64_t ScratchFloats() const {
    return tile_rows * (shape.head_dim + cpu::kKeyTile) + 2 * SumsFloats();
  }
  // Enough for any call with fewer rows, too.
  int64_t PartsFloats() const {
    const int64_t tiles = std::min(NumTiles(), kEnoughPieces);
    return num_chunks > 1 ? tiles * num_chunks * SumsFloats() : 0;
  }
  int64_t NumTiles() const { return num_tiles * shape.num_kv_heads; }

  const AttentionShape& shape;
  const int64_t rows;
  const int64_t group;
  const int64_t tile_positions;
  const int64_t tile_rows;
  const int64_t num_tiles;  // per head of keys
  const int64_t num_chunks;
  const bool split;
};

// One call of Attention.
class Run {
 public:
  Run(const Cut& cut, ConstRows queries, int64_t first_position,
      const KvView& kv, Rows output)
      : cut_(cut),
        kernels_(cpu::Kernels()),
        queries_(queries),
        first_position_(first_position),
        kv_(kv),
        output_(output) {}

  // One head of keys and one tile of queries against all keys.
  void WholeTile(int64_t index, float* scratch) const {
    const AttentionTile tile = TileAt(index, scratch);
    const AttentionSums total = SumsAt(AfterScores(tile), cut_.tile_rows);
    const AttentionSums part =
        SumsAt(AfterScores(tile) + cut_.SumsFloats(), cut_.tile_rows);
    const int64_t first = tile.first_key / kChunk;
    for (int64_t chunk = first; chunk * kChunk < tile.last_key; ++chunk) {
      kernels_.attend(OfChunk(tile, chunk), chunk == first ? total : part);
      if (chunk == first) continue;
      kernels_.merge(tile.rows, tile.head_dim, part, total);
    }
    WriteOutput(index, tile, total);
  }

  // The same against one chunk of keys; its sums go to parts.
  void PartOfTile(int64_t index, int64_t chunk, float* scratch,
                  float* parts) const {
    const AttentionTile tile = OfChunk(TileAt(index, scratch), chunk);
    kernels_.attend(tile, PartAt(index, chunk, parts));
  }

  void MergeParts(int64_t index, float* parts) const {
    const AttentionTile tile = Range(index);
    const int64_t first = tile.first_key / kChunk;
    const AttentionSums total = PartAt(index, first, parts);
    for (int64_t chunk = first + 1; chunk * kChunk < tile.last_key; ++chunk) {
      kernels_.merge(tile.rows, tile.head_dim, PartAt(index, chunk, parts),
                     total);
    }
    WriteOutput(index, tile, total);
  }

 private:
  int64_t FirstQuery(int64_t index) const {
    return index % cut_.num_tiles * cut_.tile_positions;
  }
  int64_t KvHead(int64_t index) const { return index / cut_.num_tiles; }

  // The tile without its queries and scratch.
  AttentionTile Range(int64_t index) const {
    const int64_t query = FirstQuery(index);
    const int64_t positions = std::min(cut_.tile_positions, cut_.rows - query);
    const int64_t offset = KvHead(index) * cut_.shape.head_dim;
    AttentionTile tile = {};
    tile.rows = positions * cut_.group;
    tile.group = cut_.group;
    tile.first_position = first_position_ + query;
    tile.head_dim = cut_.shape.head_dim;
    tile.window = cut_.shape.sliding_window;
    tile.causal = cut_.shape.causal;
    tile.keys = kv_.keys + offset;
    tile.values = kv_.values + offset;
    tile.kv_stride = kv_.stride;
    tile.mask = kv_.mask;
    tile.last_key = tile.causal ? tile.first_position + positions
                                : first_position_ + cut_.rows;
    if (tile.window > 0) {
      const int64_t key =
          std::max<int64_t>(0, tile.first_position - tile.window + 1);
      tile.first_key = key / cpu::kKeyTile * cpu::kKeyTile;
    }
    return tile;
  }

  AttentionTile TileAt(int64_t index, float* scratch) const {
    AttentionTile tile = Range(index);
    const int64_t head = KvHead(index) * cut_.group;
    const int64_t width = cut_.group * tile.head_dim;
    for (int64_t i = 0; i < tile.rows / cut_.group; ++i) {
      kernels_.scale(queries_.data + (FirstQuery(index) + i) * queries_.stride +
                         head * tile.head_dim,
                     cut_.shape.scale, width, scratch + i * width);
    }
    tile.queries = scratch;
    tile.scores = scratch + cut_.tile_rows * tile.head_dim;
    return tile;
  }

  float* AfterScores(const AttentionTile& tile) const {
    return tile.scores + cut_.tile_rows * cpu::kKeyTile;
  }

  // A chunk that no row of the tile may see comes out empty.
  static AttentionTile OfChunk(const AttentionTile& tile, int64_t chunk) {
    AttentionTile result = tile;
    result.first_key = std::max(tile.first_key, chunk * kChunk);
    result.last_key = std::min(tile.last_key, (chunk + 1) * kChunk);
    return result;
  }

  AttentionSums PartAt(int64_t index, int64_t chunk, float* parts) const {
    return SumsAt(parts + (index * cut_.num_chunks + chunk) * cut_.SumsFloats(),
                  cut_.tile_rows);
  }

  void WriteOutput(int64_t index, const AttentionTile& tile,
                   const AttentionSums& sums) const {
    for (int64_t row = 0; row < tile.rows; ++row) {
      const int64_t query = FirstQuery(index) + row / cut_.group;
      const int64_t head = KvHead(index) * cut_.group + row % cut_.group;
      const float factor = sums.sum[row] == 0.0f ? 0.0f : 1.0f / sums.sum[row];
      kernels_.scale(
          sums.values + row * tile.head_dim, factor, tile.head_dim,
          output_.data + query * output_.stride + head * tile.head_dim);
    }
  }

  const Cut& cut_;
  const cpu::KernelTable& kernels_;
  const ConstRows queries_;
  const int64_t first_position_;
  const KvView& kv_;
  const Rows output_;
};

// Calls run(i, scratch) for each i in [0, count), with scratch that nobody
// else uses meanwhile.
void RunWithScratch(int64_t count, int64_t scratch_floats, float* scratch,
                    ThreadPool& pool,
                    absl::FunctionRef<void(int64_t, float*)> run) {
  RunInLanes(count, pool, [&](const LaneTurn& turn) {
    run(turn.index, scratch + turn.lane * scratch_floats);
  });
}

}  // namespace

int64_t AttentionWorkspaceFloats(const AttentionShape& shape, int64_t rows,
                                 int64_t num_positions, int num_threads) {
  const Cut cut(shape, rows, num_positions);
  return cut.ScratchFloats() * num_threads + cut.PartsFloats();
}

void Attention(const AttentionShape& shape, ConstRows queries,
               int64_t first_position, const KvView& kv, Rows output,
               float* workspace, ThreadPool& pool) {
  assert(shape.num_kv_heads > 0);
  assert(shape.num_heads % shape.num_kv_heads == 0);
  assert(shape.causal || shape.sliding_window == 0);
  const Cut cut(shape, queries.rows, first_position + queries.rows);
  const Run run(cut, queries, first_position, kv, output);
  const int64_t work = queries.rows * (first_position + queries.rows) *
                       shape.num_heads * shape.head_dim;
  ThreadPool& threads = work <= kInlineWork ? InlineThreadPool() : pool;
  if (!cut.split) {
    return RunWithScratch(
        cut.NumTiles(), cut.ScratchFloats(), workspace, threads,
        [&](int64_t i, float* scratch) { run.WholeTile(i, scratch); });
  }
  float* const parts = workspace + cut.ScratchFloats() * pool.num_threads();
  RunWithScratch(cut.NumTiles() * cut.num_chunks, cut.ScratchFloats(),
                 workspace, threads, [&](int64_t i, float* scratch) {
                   run.PartOfTile(i / cut.num_chunks, i % cut.num_chunks,
                                  scratch, parts);
                 });
  threads.ParallelFor(cut.NumTiles(),
                      [&](int64_t i) { run.MergeParts(i, parts); });
}

}  // namespace kernels
}  // namespace peft
