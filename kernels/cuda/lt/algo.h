// How a product is computed: the library's algorithm and its parameters, which
// can be written down.
#ifndef KERNELS_CUDA_LT_ALGO_H_
#define KERNELS_CUDA_LT_ALGO_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/descriptors.h"
#include "kernels/cuda/lt/library.h"

namespace peft {
namespace kernels {
namespace cuda {

// The parameters of an algorithm by LtAlgoAttribute. They mean something to the
// version of the library that they come from alone, which checks each of them:
// unlike an LtAlgo, a file may hold them.
constexpr int kLtAlgoAttributes = 9;
using LtAlgoConfig = std::array<uint32_t, kLtAlgoAttributes>;

// An algorithm that the library has accepted for a product.
struct LtCandidate {
  LtAlgo algo = {};
  int64_t workspace_bytes = 0;
};

// At most `count` algorithms for the product, the one that the library takes
// for the fastest first. UNIMPLEMENTED (CUBLASLT) where it has none.
absl::StatusOr<std::vector<LtCandidate>> FindCandidates(
    const LtHandle& handle, const LtDescriptors& descriptors, int count);

absl::StatusOr<LtAlgoConfig> ConfigOf(const LtLibrary& library,
                                      const LtAlgo& algo);

// The algorithm of these parameters. Fails where the library does not accept
// it for the product, or where it breaks `settings`.
absl::StatusOr<LtCandidate> CandidateOf(const LtHandle& handle,
                                        const LtDescriptors& descriptors,
                                        const LtSettings& settings,
                                        const LtAlgoConfig& config);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_ALGO_H_
