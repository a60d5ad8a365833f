// Fills pages with an adapter's matrices.
#ifndef KERNELS_CUDA_PAGE_IMAGE_H_
#define KERNELS_CUDA_PAGE_IMAGE_H_

#include <cstddef>

#include "absl/types/span.h"
#include "kernels/cuda/page_layout.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {
namespace cuda {

// One site's matrices on the host. Rank 0: none.
struct HostPair {
  MatrixView a;  // (rank, in)
  MatrixView b;  // (out, rank)
};

// Writes the pieces of one page to `page`: of each, A (ranks, in) and then
// B (out, ranks) without gaps. Returns the bytes from the page's start to the
// last that was written.
size_t FillPage(absl::Span<const HostPair> pairs,
                absl::Span<const PagePiece> pieces, char* page);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_PAGE_IMAGE_H_
