#include "kernels/product_queue.h"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/lanes.h"

namespace peft {
namespace kernels {
namespace {

using cpu::LinearTile;
using cpu::Term;

// Up to here reading the weights costs more than computing with them.
constexpr int64_t kFewRows = 8;

// Weights of one piece of work with few rows: some microseconds.
constexpr int64_t kPieceBytes = 64 * 1024;

// Rows that one piece of work with many rows has at most, and where the outputs
// give few pieces: enough to make up for packing the weights.
constexpr int64_t kPieceRows = 384;
constexpr int64_t kPieceRowsOfNarrow = 48;
constexpr int64_t kNarrow = 12;
// Pieces that those with more outputs than kWide must leave, so that uneven
// ends cost little.
constexpr int64_t kEnoughPieces = 6;
constexpr int64_t kWide = 48;
// A multiple of every register tile's rows.
constexpr int64_t kTileRows = 24;

// Below this many multiplications, waking a thread costs more than it gives.
constexpr int64_t kInlineWork = 32 * 1024;

int64_t WorkPerOutput(const LinearTile& tile) {
  int64_t k = 1;
  for (int i = 0; i < tile.num_terms; ++i) k += tile.terms[i].k;
  return k;
}

int64_t BitsOf(cpu::Elem elem) {
  switch (elem) {
    case cpu::kElemF32:
      return 32;
    case cpu::kElemQ8:
      return 8;
    case cpu::kElemQ4:
    case cpu::kElemTable4:
      return 4;
    default:
      return 16;
  }
}

int64_t BytesPerOutput(const LinearTile& tile) {
  int64_t bytes = 1;
  for (int i = 0; i < tile.num_terms; ++i) {
    bytes += tile.terms[i].k * BitsOf(tile.terms[i].elem) / 8;
  }
  return bytes;
}

// `rows` cut into pieces of about the same size, at most `most` each.
int64_t RowsAtOnce(int64_t rows, int64_t most) {
  const int64_t pieces = std::max<int64_t>(1, (rows + most - 1) / most);
  const int64_t even = (rows + pieces - 1) / pieces;
  return std::max<int64_t>(1, (even + kTileRows - 1) / kTileRows) * kTileRows;
}

// What the kernels ask for, but enough pieces where that is much.
int64_t OutputsAtOnce(const LinearTile& tile) {
  const int64_t asked = cpu::Kernels().outputs_at_once(tile);
  const int64_t enough = tile.last_output / kEnoughPieces / kWide * kWide;
  return std::min(asked, std::max(kWide, enough));
}

bool IsTransposed(const LinearTile& tile) {
  for (int i = 0; i < tile.num_terms; ++i) {
    if (tile.terms[i].transposed) return true;
  }
  return false;
}

}  // namespace

Term TermOf(const MatrixView& weight, bool transposed, const float* x,
            int64_t x_stride) {
  Term term = {};
  term.weight = weight.data;
  term.elem = ElemOf(weight.dtype);
  term.transposed = transposed;
  term.stride = weight.stride;
  term.k = transposed ? weight.rows : weight.cols;
  term.x = x;
  term.x_stride = x_stride;
  if (weight.codes == nullptr) return term;
  assert(!transposed && weight.stride == weight.cols);
  assert(weight.codes->block % kCodesAtOnce == 0);
  assert(weight.cols % weight.codes->block == 0);
  term.scales = weight.codes->scales;
  term.block = weight.codes->block;
  term.values = weight.codes->values;
  return term;
}

ProductQueue::Product ProductQueue::Cut(const LinearTile& tile) {
  Product product = {tile, tile.rows <= kFewRows && !IsTransposed(tile), 0, 0};
  if (product.few) {
    product.rows_at_once = kFewRows;
    const int64_t outputs = kPieceBytes / BytesPerOutput(tile);
    product.outputs_at_once = std::max<int64_t>(4, outputs / 4 * 4);
    return product;
  }
  product.outputs_at_once = OutputsAtOnce(tile);
  const bool narrow =
      tile.last_output <= (kNarrow - 1) * cpu::Kernels().panel_width;
  product.rows_at_once =
      RowsAtOnce(tile.rows, narrow ? kPieceRowsOfNarrow : kPieceRows);
  return product;
}

void ProductQueue::RunPiece(const Product& product, int64_t piece) {
  LinearTile tile = product.all;
  const int64_t blocks = product.RowBlocks();
  const int64_t row = piece % blocks * product.rows_at_once;
  tile.first_output = piece / blocks * product.outputs_at_once;
  tile.last_output = std::min(tile.first_output + product.outputs_at_once,
                              product.all.last_output);
  tile.rows = std::min(product.rows_at_once, product.all.rows - row);
  tile.y += row * tile.y_stride;
  if (product.few) return cpu::Kernels().linear_few(tile);  // row is 0
  Term terms[kMaxTerms];
  for (int i = 0; i < tile.num_terms; ++i) {
    terms[i] = tile.terms[i];
    terms[i].x += row * terms[i].x_stride;
  }
  tile.terms = terms;
  cpu::Kernels().linear_many(tile);
}

Term* ProductQueue::ReserveTerms(int count) {
  assert(count <= kMaxTerms);
  if (num_products_ == kMaxProducts || num_terms_ + count > kAllTerms) Run();
  Term* const terms = terms_ + num_terms_;
  num_terms_ += count;
  return terms;
}

void ProductQueue::Add(const LinearTile& tile) {
  products_[num_products_++] = Cut(tile);
}

void ProductQueue::Run() {
  int64_t pieces = 0;
  int64_t work = 0;
  for (int i = 0; i < num_products_; ++i) {
    const LinearTile& tile = products_[i].all;
    pieces += products_[i].Pieces();
    work += tile.rows * tile.last_output * WorkPerOutput(tile);
  }
  ThreadPool& threads = work <= kInlineWork ? InlineThreadPool() : pool_;
  RunInLanes(pieces, threads, [&](int64_t piece, int64_t) {
    const Product* product = products_;
    while (piece >= product->Pieces()) {
      piece -= product->Pieces();
      ++product;
    }
    RunPiece(*product, piece);
  });
  num_products_ = 0;
  num_terms_ = 0;
}

}  // namespace kernels
}  // namespace peft
