#include "kernels/linear.h"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"

namespace peft {
namespace kernels {
namespace {

using cpu::LinearTile;
using cpu::Term;

// Up to here reading the weights costs more than computing with them.
constexpr int64_t kFewRows = 8;

// Weights of one piece of work with few rows: some microseconds.
constexpr int64_t kPieceBytes = 64 * 1024;

// Rows of one piece of work with many rows: a multiple of every register
// tile's rows, enough to make up for packing the weights. Where the outputs
// give few pieces, fewer rows.
constexpr int64_t kPieceRows = 240;
constexpr int64_t kPieceRowsOfNarrow = 48;
constexpr int64_t kNarrow = 16;

// Below this many multiplications, waking a thread costs more than it gives.
constexpr int64_t kInlineWork = 32 * 1024;

// Segments that go through one pass over y; more take more passes.
constexpr int64_t kSegmentsAtOnce = 15;

// A row of x A^T in the workspace starts at a multiple of 64 bytes.
constexpr int64_t PaddedRank(int64_t rank) { return (rank + 15) / 16 * 16; }

using Segments = absl::Span<const LowRankSegment>;

int64_t WorkspaceFloats(Segments segments, int64_t rows) {
  int64_t columns = 0;
  for (const LowRankSegment& segment : segments) {
    columns += PaddedRank(segment.a.rows);
  }
  return rows * columns;
}

Term TermOf(const MatrixView& weight, bool transposed, const float* x,
            int64_t x_stride) {
  return {weight.data,
          ElemOf(weight.dtype),
          transposed,
          weight.stride,
          transposed ? weight.rows : weight.cols,
          x,
          x_stride};
}

// A product over all outputs of one y, and how it is cut into pieces. The cut
// depends on shapes only, and results not even on the cut.
struct Product {
  LinearTile all;
  bool few;
  int64_t rows_at_once;
  int64_t outputs_at_once;

  int64_t RowBlocks() const {
    return (all.rows + rows_at_once - 1) / rows_at_once;
  }
  int64_t OutputBlocks() const {
    return (all.last_output + outputs_at_once - 1) / outputs_at_once;
  }
  int64_t Pieces() const { return RowBlocks() * OutputBlocks(); }
};

int64_t WorkPerOutput(const LinearTile& tile) {
  int64_t k = 1;
  for (int i = 0; i < tile.num_terms; ++i) k += tile.terms[i].k;
  return k;
}

int64_t BytesPerOutput(const LinearTile& tile) {
  int64_t bytes = 1;
  for (int i = 0; i < tile.num_terms; ++i) {
    bytes += tile.terms[i].k * (tile.terms[i].elem == cpu::kElemF32 ? 4 : 2);
  }
  return bytes;
}

bool IsTransposed(const LinearTile& tile) {
  for (int i = 0; i < tile.num_terms; ++i) {
    if (tile.terms[i].transposed) return true;
  }
  return false;
}

Product Cut(const LinearTile& tile) {
  Product product = {tile, tile.rows <= kFewRows && !IsTransposed(tile), 0, 0};
  if (product.few) {
    product.rows_at_once = kFewRows;
    const int64_t outputs = kPieceBytes / BytesPerOutput(tile);
    product.outputs_at_once = std::max<int64_t>(4, outputs / 4 * 4);
    return product;
  }
  product.outputs_at_once = cpu::Kernels().panel_width;
  product.rows_at_once =
      product.OutputBlocks() < kNarrow ? kPieceRowsOfNarrow : kPieceRows;
  return product;
}

void RunPiece(const Product& product, int64_t piece) {
  LinearTile tile = product.all;
  const int64_t blocks = product.RowBlocks();
  const int64_t row = piece % blocks * product.rows_at_once;
  tile.first_output = piece / blocks * product.outputs_at_once;
  tile.last_output = std::min(tile.first_output + product.outputs_at_once,
                              product.all.last_output);
  tile.rows = std::min(product.rows_at_once, product.all.rows - row);
  tile.y += row * tile.y_stride;
  if (product.few) return cpu::Kernels().linear_few(tile);  // row is 0
  Term terms[1 + kSegmentsAtOnce];
  for (int i = 0; i < tile.num_terms; ++i) {
    terms[i] = tile.terms[i];
    terms[i].x += row * terms[i].x_stride;
  }
  tile.terms = terms;
  cpu::Kernels().linear_many(tile);
}

// Runs the pieces of all products, in any order.
void RunProducts(absl::Span<const Product> products, ThreadPool& pool) {
  int64_t pieces = 0;
  int64_t work = 0;
  for (const Product& product : products) {
    pieces += product.Pieces();
    work +=
        product.all.rows * product.all.last_output * WorkPerOutput(product.all);
  }
  ThreadPool& threads = work <= kInlineWork ? InlineThreadPool() : pool;
  threads.ParallelFor(pieces, [&](int64_t piece) {
    const Product* product = products.data();
    while (piece >= product->Pieces()) {
      piece -= product->Pieces();
      ++product;
    }
    RunPiece(*product, piece);
  });
}

// thin = scale * x A^T for each segment; `segments` are at most
// kSegmentsAtOnce. Returns the floats of thin that were used.
int64_t RunDown(Segments segments, ConstRows x, float* thin, ThreadPool& pool) {
  Term terms[kSegmentsAtOnce];
  Product products[kSegmentsAtOnce];
  float* y = thin;
  for (size_t i = 0; i < segments.size(); ++i) {
    const LowRankSegment& segment = segments[i];
    terms[i] = TermOf(segment.a, false, x.data, x.stride);
    LinearTile tile = {};
    tile.terms = &terms[i];
    tile.num_terms = 1;
    tile.rows = x.rows;
    tile.last_output = segment.a.rows;
    tile.scale = segment.scale;
    tile.y = y;
    tile.y_stride = PaddedRank(segment.a.rows);
    products[i] = Cut(tile);
    y += x.rows * tile.y_stride;
  }
  RunProducts(absl::MakeConstSpan(products, segments.size()), pool);
  return y - thin;
}

// Adds the terms thin B^T to terms[count...]; returns the new count.
int AppendUp(Segments segments, int64_t rows, const float* thin, int count,
             Term* terms) {
  for (const LowRankSegment& segment : segments) {
    const int64_t stride = PaddedRank(segment.a.rows);
    terms[count++] = TermOf(segment.b, false, thin, stride);
    thin += rows * stride;
  }
  return count;
}

void RunOne(const LinearTile& tile, ThreadPool& pool) {
  const Product product = Cut(tile);
  RunProducts(absl::MakeConstSpan(&product, 1), pool);
}

// y += the segments' part; for any number of segments.
void AddSegments(Segments segments, ConstRows x, Rows y, float* workspace,
                 ThreadPool& pool) {
  while (!segments.empty()) {
    const Segments now = segments.subspan(0, kSegmentsAtOnce);
    const int64_t used = RunDown(now, x, workspace, pool);
    Term terms[kSegmentsAtOnce];
    LinearTile tile = {};
    tile.terms = terms;
    tile.num_terms = AppendUp(now, x.rows, workspace, 0, terms);
    tile.rows = y.rows;
    tile.last_output = y.cols;
    tile.scale = 1.0f;
    tile.accumulate = true;
    tile.y = y.data;
    tile.y_stride = y.stride;
    RunOne(tile, pool);
    workspace += used;
    segments.remove_prefix(now.size());
  }
}

}  // namespace

int64_t LinearWorkspaceFloats(const LinearPlan& plan, int64_t rows) {
  return WorkspaceFloats(plan.low_rank, rows);
}

int64_t LowRankWorkspaceFloats(absl::Span<const LowRankSegment> segments,
                               int64_t rows) {
  return WorkspaceFloats(segments, rows);
}

void RunLinear(const LinearPlan& plan, ConstRows x, Rows y, float* workspace,
               ThreadPool& pool) {
  assert(x.rows == y.rows);
  assert(x.cols == (plan.transposed ? plan.weight.rows : plan.weight.cols));
  assert(y.cols == (plan.transposed ? plan.weight.cols : plan.weight.rows));
  const Segments segments(plan.low_rank);
  const Segments now = segments.subspan(0, kSegmentsAtOnce);
  const int64_t used = RunDown(now, x, workspace, pool);
  Term terms[1 + kSegmentsAtOnce];
  terms[0] = TermOf(plan.weight, plan.transposed, x.data, x.stride);
  LinearTile tile = {};
  tile.terms = terms;
  tile.num_terms = AppendUp(now, x.rows, workspace, 1, terms);
  tile.rows = y.rows;
  tile.last_output = y.cols;
  tile.bias = plan.bias.data;
  tile.bias_elem = ElemOf(plan.bias.dtype);
  tile.scale = 1.0f;
  tile.y = y.data;
  tile.y_stride = y.stride;
  RunOne(tile, pool);
  AddSegments(segments.subspan(now.size()), x, y, workspace + used, pool);
}

void AddLowRank(absl::Span<const LowRankSegment> segments, ConstRows x, Rows y,
                float* workspace, ThreadPool& pool) {
  AddSegments(segments, x, y, workspace, pool);
}

}  // namespace kernels
}  // namespace peft
