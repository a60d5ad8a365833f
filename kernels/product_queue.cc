#include "kernels/product_queue.h"

#include <algorithm>
#include <cassert>

#include "kernels/cpu/dispatch.h"
#include "kernels/elem.h"
#include "kernels/lanes.h"
#include "peft_cc/base/round_up.h"

namespace peft {
namespace kernels {
namespace {

using cpu::LinearTile;
using cpu::Term;

// Weights of one piece of work with few rows: some microseconds.
constexpr int64_t kPieceBytes = 64 * 1024;

// Rows that one piece of work with many rows has at most, and at least where
// there are more: packing its weights takes as long as ten rows.
constexpr int64_t kPieceRows = 384;
constexpr int64_t kLeastPieceRows = 48;
// Panels of outputs from which on these alone give pieces enough. Where there
// are fewer, rows are cut for the threads, too.
constexpr int64_t kNarrow = 12;
// Pieces that those with more outputs than kWide must leave, so that uneven
// ends cost little.
constexpr int64_t kEnoughPieces = 6;
constexpr int64_t kWide = 48;
// Rows of pieces for which x is laid out, and their outputs are multiples of
// the least.
constexpr int64_t kLeastPacked = 32;
constexpr int64_t kMostPacked = 128;
// Of the largest register tile.
constexpr int64_t kTileRows = 8;

// Weights that a product fetches for what comes after it, at most.
constexpr int kMostFetches = 64;

// Below this many multiplications, waking a thread costs more than it gives.
constexpr int64_t kWakingWork = 32 * 1024;
// Below this many even the help of one that is awake does.
constexpr int64_t kInlineWork = 4 * 1024;

// Pieces that products with few rows have at least together, where they have
// the outputs.
constexpr int64_t kLeastPieces = 4;

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

// Outputs that pieces of few rows keep together: whole blocks of the kernels.
int64_t OutputsTogether(const LinearTile& tile) {
  if (tile.num_terms > 0 && tile.terms[0].interleaved) return kRowsTogether;
  return tile.rows == 1 ? 4 : 12;
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

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `rows` cut into pieces of about the same size, of which there are a multiple
// of `threads` unless they would be small.
int64_t RowsAtOnce(int64_t rows, int64_t threads) {
  const int64_t turns =
      std::max<int64_t>(1, CeilDiv(rows, threads * kPieceRows));
  const int64_t even = CeilDiv(rows, threads * turns);
  return RoundUp(std::max(even, kLeastPieceRows), kTileRows);
}

// The term's weights from output `first` on.
const char* WeightsFrom(const Term& term, int64_t first) {
  return static_cast<const char*>(term.weight) +
         first * term.stride * BitsOf(term.elem) / 8;
}

// Floats of a cache line.
constexpr int64_t kPackedAlign = 16;

float* AlignedUp(float* p) {
  constexpr uintptr_t kBytes = kPackedAlign * sizeof(float);
  return p + (kBytes - reinterpret_cast<uintptr_t>(p) % kBytes) % kBytes /
                 sizeof(float);
}

// Whether `earlier`'s x is laid out as `term`'s would be.
bool HasLayoutOf(const Term& earlier, const Term& term, int64_t floats) {
  return earlier.packed != nullptr && earlier.packed_stride == floats &&
         earlier.elem == term.elem && earlier.x == term.x &&
         earlier.x_stride == term.x_stride && earlier.k == term.k;
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
  term.interleaved = weight.codes->interleaved;
  return term;
}

int64_t PackedFloats(const MatrixView& weight, int64_t rows) {
  if (weight.codes == nullptr) return 0;
  const int64_t floats =
      cpu::Kernels().packed_inputs(TermOf(weight, false, nullptr, 0));
  return floats == 0 ? 0 : std::min(rows, kFewRows) * floats + kPackedAlign;
}

float* PackInputs(int64_t rows, float* workspace, const Term* earlier,
                  Term* term) {
  if (rows > kFewRows) return workspace;
  const int64_t floats = cpu::Kernels().packed_inputs(*term);
  if (floats == 0) return workspace;
  if (earlier != nullptr && HasLayoutOf(*earlier, *term, floats)) {
    term->packed = earlier->packed;
    term->packed_stride = floats;
    return workspace;
  }
  float* const packed = AlignedUp(workspace);
  cpu::Kernels().pack_inputs(*term, rows, packed);
  term->packed = packed;
  term->packed_stride = floats;
  return packed + rows * floats;
}

int64_t ProductQueue::FewBytes(int first, int end) const {
  int64_t bytes = 0;
  for (int i = first; i < end; ++i) {
    const LinearTile& tile = products_[i].all;
    if (products_[i].few) bytes += tile.last_output * BytesPerOutput(tile);
  }
  return bytes;
}

void ProductQueue::CutFew(int64_t piece_bytes, Product* product) {
  const LinearTile& tile = product->all;
  const int64_t bytes = tile.last_output * BytesPerOutput(tile);
  const int64_t pieces = std::max<int64_t>(1, CeilDiv(bytes, piece_bytes));
  const int64_t outputs =
      std::max<int64_t>(1, CeilDiv(tile.last_output, pieces));
  product->rows_at_once = kFewRows;
  product->outputs_at_once = RoundUp(outputs, OutputsTogether(tile));
}

void ProductQueue::CutMany(Product* product) const {
  const LinearTile& tile = product->all;
  if (cpu::Kernels().packs_rows(tile)) return CutPackedRows(product);
  product->outputs_at_once = OutputsAtOnce(tile);
  const bool narrow =
      tile.last_output <= (kNarrow - 1) * cpu::Kernels().panel_width;
  product->rows_at_once =
      RowsAtOnce(tile.rows, narrow ? pool_.num_threads() : 1);
}

void ProductQueue::CutPackedRows(Product* product) {
  const LinearTile& tile = product->all;
  const int64_t rows = tile.rows / kEnoughPieces / kLeastPacked * kLeastPacked;
  product->rows_at_once = std::clamp(rows, kLeastPacked, kMostPacked);
  const int64_t pieces = CeilDiv(kEnoughPieces, product->RowBlocks());
  product->outputs_at_once =
      RoundUp(CeilDiv(tile.last_output, pieces), kLeastPacked);
}

int64_t ProductQueue::Cut(int first, int end, int64_t pieces) {
  const int64_t piece_bytes =
      std::min(kPieceBytes, FewBytes(first, end) / kLeastPieces + 1);
  for (int i = first; i < end; ++i) {
    Product& product = products_[i];
    if (product.in_chain) {
      product.rows_at_once = kFewRows;
      product.outputs_at_once = product.all.last_output;
    } else if (product.few) {
      CutFew(piece_bytes, &product);
    } else {
      CutMany(&product);
    }
    product.first_piece = pieces;
    pieces += product.Pieces();
  }
  return pieces;
}

void ProductQueue::RunPiece(const Product& product, int64_t piece,
                            const char* next,
                            absl::Span<const cpu::MemoryRange> fetches) const {
  LinearTile tile = product.all;
  const int64_t blocks = product.RowBlocks();
  const int64_t row = piece % blocks * product.rows_at_once;
  tile.first_output = piece / blocks * product.outputs_at_once;
  tile.last_output = std::min(tile.first_output + product.outputs_at_once,
                              product.all.last_output);
  tile.rows = std::min(product.rows_at_once, product.all.rows - row);
  tile.y += row * tile.y_stride;
  if (product.few) {  // row is 0
    tile.bytes_ahead = cpu::Kernels().bytes_ahead;
    tile.next = next;
    tile.past_caches = past_caches_;
    return cpu::Kernels().linear_few(tile);
  }
  Term terms[kMaxTerms];
  for (int i = 0; i < tile.num_terms; ++i) {
    terms[i] = tile.terms[i];
    terms[i].x += row * terms[i].x_stride;
  }
  tile.terms = terms;
  tile.fetches = fetches.data();
  tile.num_fetches = static_cast<int>(fetches.size());
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
  const bool few = tile.rows <= kFewRows && !IsTransposed(tile);
  assert(few || !in_chain_);
  const bool follows = in_chain_ && !is_head_ && num_products_ > 0;
  products_[num_products_++] = {tile, few, in_chain_, follows, 0, 0, 0};
  is_head_ = false;
}

const ProductQueue::Product& ProductQueue::ProductOf(int64_t piece) const {
  const Product* const next =
      std::upper_bound(products_, products_ + num_products_, piece,
                       [](int64_t index, const Product& product) {
                         return index < product.first_piece;
                       });
  return *(next - 1);  // those that have no pieces stand before it
}

const char* ProductQueue::FirstWeights(int64_t piece) const {
  if (piece < 0) return nullptr;
  const Product& product = ProductOf(piece);
  if (!product.few || product.all.num_terms == 0) return nullptr;
  return WeightsFrom(product.all.terms[0],
                     (piece - product.first_piece) * product.outputs_at_once);
}

void ProductQueue::RunChain(const Product* product, const char* next) const {
  const Product* const end = products_ + num_products_;
  for (; product + 1 < end && product[1].follows; ++product) {
    RunPiece(*product, 0,
             static_cast<const char*>(product[1].all.terms[0].weight), {});
  }
  RunPiece(*product, 0, next, {});
}

int ProductQueue::WeightsOfChains(const EvenMix& mix, int64_t place,
                                  absl::Span<cpu::MemoryRange> ranges) const {
  size_t count = 0;
  for (; place < mix.size() && !mix.IsHost(place); ++place) {
    const Product* product = &ProductOf(mix.At(place));
    const Product* const end = products_ + num_products_;
    do {
      const LinearTile& tile = product->all;
      for (int i = 0; i < tile.num_terms && count < ranges.size(); ++i) {
        const Term& term = tile.terms[i];
        ranges[count++] = {
            WeightsFrom(term, 0),
            WeightsFrom(term, tile.last_output) - WeightsFrom(term, 0)};
      }
    } while (++product < end && product->follows);
  }
  return static_cast<int>(count);
}

void ProductQueue::BeginPart() {
  if (first_part_ > 0) Run();
  first_part_ = num_products_;
}

void ProductQueue::BeginBetween() {
  assert(first_part_ == 0);
  between_ = num_products_;
}

void ProductQueue::Run() {
  const int64_t first_part = Cut(0, first_part_, 0);
  const int64_t pieces = Cut(first_part_, num_products_, first_part);
  int64_t work = 0;
  for (int i = 0; i < num_products_; ++i) {
    const LinearTile& tile = products_[i].all;
    work += tile.rows * tile.last_output * WorkPerOutput(tile);
  }
  ThreadPool& threads = work <= kInlineWork ? InlineThreadPool() : pool_;
  const int64_t hosts = between_ > 0 && between_ < num_products_
                            ? products_[between_].first_piece
                            : pieces;
  const EvenMix mix(hosts, pieces - hosts);
  const auto run = [&](const LaneTurn& turn) {
    const int64_t piece = mix.At(turn.index);
    const char* const next =
        FirstWeights(turn.next < 0 ? -1 : mix.At(turn.next));
    const Product& product = ProductOf(piece);
    if (product.in_chain) return RunChain(&product, next);
    cpu::MemoryRange fetches[kMostFetches];
    const int count =
        WeightsOfChains(mix, turn.index + 1, absl::MakeSpan(fetches));
    RunPiece(product, piece - product.first_piece, next,
             absl::MakeConstSpan(fetches, count));
  };
  RunInLanes(pieces, threads, run,
             work <= kWakingWork ? WorkLength::kBrief : WorkLength::kLong,
             first_part);
  num_products_ = 0;
  first_part_ = 0;
  between_ = 0;
  num_terms_ = 0;
}

}  // namespace kernels
}  // namespace peft
