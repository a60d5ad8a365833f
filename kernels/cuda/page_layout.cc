#include "kernels/cuda/page_layout.h"

#include <algorithm>

#include "peft_cc/base/round_up.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr size_t kAlignment = 256;

size_t ABytes(const PairShape& shape, int64_t ranks, size_t element_bytes) {
  return RoundUp(ranks * shape.in * element_bytes, kAlignment);
}

// The most ranks, of `left`, that fit into `bytes`: all, or whole pieces.
int64_t RanksThatFit(const PairShape& shape, int64_t left, size_t element_bytes,
                     size_t bytes) {
  if (PieceBytes(shape, left, element_bytes) <= bytes) return left;
  const size_t of_rank = (shape.in + shape.out) * element_bytes;
  const auto guess = static_cast<int64_t>(bytes / of_rank);
  int64_t ranks = std::min(guess, left) / kRanksPerPiece * kRanksPerPiece;
  // Rounding up may take what the guess does not know of.
  while (ranks > 0 && PieceBytes(shape, ranks, element_bytes) > bytes) {
    ranks -= kRanksPerPiece;
  }
  return ranks;
}

// Where the next piece begins.
struct Cursor {
  int page = 0;
  size_t offset = 0;
};

// Lays out one site from the cursor on.
void LayOutSite(int site, const PairShape& shape, size_t element_bytes,
                size_t page_bytes, Cursor& cursor, PageLayout& layout) {
  int64_t first = 0;
  while (first < shape.rank) {
    const int64_t ranks = RanksThatFit(shape, shape.rank - first, element_bytes,
                                       page_bytes - cursor.offset);
    if (ranks == 0) {
      cursor = {cursor.page + 1, 0};
      continue;
    }
    PagePiece& piece = layout.pieces.emplace_back();
    piece.site = site;
    piece.first_rank = first;
    piece.num_ranks = ranks;
    piece.page = cursor.page;
    piece.a_offset = cursor.offset;
    piece.b_offset = cursor.offset + ABytes(shape, ranks, element_bytes);
    cursor.offset += PieceBytes(shape, ranks, element_bytes);
    first += ranks;
  }
}

}  // namespace

size_t PieceBytes(const PairShape& shape, int64_t ranks, size_t element_bytes) {
  return ABytes(shape, ranks, element_bytes) +
         RoundUp(ranks * shape.out * element_bytes, kAlignment);
}

PageLayout LayOut(absl::Span<const PairShape> sites, size_t element_bytes,
                  size_t page_bytes) {
  PageLayout layout;
  Cursor cursor;
  for (size_t i = 0; i < sites.size(); ++i) {
    LayOutSite(static_cast<int>(i), sites[i], element_bytes, page_bytes, cursor,
               layout);
  }
  if (!layout.pieces.empty()) layout.num_pages = cursor.page + 1;
  return layout;
}

int MaxPieces(const PairShape& shape, size_t element_bytes, size_t page_bytes) {
  if (shape.rank == 0) return 0;
  const int64_t per_page =
      RanksThatFit(shape, shape.rank, element_bytes, page_bytes);
  if (per_page == 0) return 0;
  // One more for what was left of the page before.
  return static_cast<int>((shape.rank + per_page - 1) / per_page) +
         (shape.rank > kRanksPerPiece ? 1 : 0);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
