// How an adapter's matrices lie in pages. A page is anywhere in the device's
// memory: what does not fit into the rest of one goes on in the next, cut along
// the rank, where a sum may always be cut. So memory never fragments.
#ifndef KERNELS_CUDA_PAGE_LAYOUT_H_
#define KERNELS_CUDA_PAGE_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace peft {
namespace kernels {
namespace cuda {

// The A (rank, in) and B (out, rank) that an adapter has for one site. Rank 0:
// it has none.
struct PairShape {
  int64_t in = 0;
  int64_t out = 0;
  int64_t rank = 0;
};

// Some of the ranks of one site's pair: rows of A, and columns of B.
struct PagePiece {
  int site = 0;
  int64_t first_rank = 0;
  int64_t num_ranks = 0;
  int page = 0;         // of the adapter's
  size_t a_offset = 0;  // into the page; both are multiples of 256
  size_t b_offset = 0;
};

struct PageLayout {
  int num_pages = 0;
  std::vector<PagePiece> pieces;  // by site, then by rank
};

// Pieces hold a multiple of 8 ranks, but for a site's last.
constexpr int64_t kRanksPerPiece = 8;

// The bytes of `ranks` ranks of a pair in a page.
size_t PieceBytes(const PairShape& shape, int64_t ranks, size_t element_bytes);

// Every kRanksPerPiece ranks (all, where they are fewer) must fit into a page.
PageLayout LayOut(absl::Span<const PairShape> sites, size_t element_bytes,
                  size_t page_bytes);

// The most pieces that any layout has for a pair of this shape.
int MaxPieces(const PairShape& shape, size_t element_bytes, size_t page_bytes);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_PAGE_LAYOUT_H_
