// Products of groups in one launch, by versions of cuBLASLt that have them for
// the device: each group has sizes and memory of its own.
#ifndef KERNELS_CUDA_LT_GROUPED_GEMM_H_
#define KERNELS_CUDA_LT_GROUPED_GEMM_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/lt/algo.h"
#include "kernels/cuda/lt/descriptors.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/plan.h"

namespace peft {
namespace kernels {
namespace cuda {

// out = left right^T [+ out]: (m, k), (n, k) and (m, n).
struct GroupedProduct {
  DeviceMatrix left;
  DeviceMatrix right;
  DeviceMatrix out;
};

// Numbers of 64 bits for each group, one array after the other, as the library
// reads them in device memory: m, n, k, the strides of left, right and out, and
// their addresses.
constexpr int kGroupedArrays = 9;
std::vector<uint64_t> GroupedTable(absl::Span<const GroupedProduct> products);

// Immutable, thread-safe.
class GroupedGemm {
 public:
  // `table` is where GroupedTable(products) is, or will be, in device memory;
  // all shapes fit each other. Keeps the handle. UNIMPLEMENTED (CUBLASLT) where
  // the library has no such product for the device, for the dtype or for what
  // does not lie at multiples of 16 bytes.
  static absl::StatusOr<GroupedGemm> Plan(
      const LtHandle& handle, const LtSettings& settings,
      absl::Span<const GroupedProduct> products, bool accumulate,
      DevicePtr table);

  // Puts all of them on the stream, as GemmPlan::Run does one.
  absl::Status Run(const LtStream& stream) const;

 private:
  explicit GroupedGemm(const LtHandle& handle) : handle_(&handle) {}
  absl::Status DescribeMatrices(DType dtype);
  absl::Status DescribeProduct();
  absl::Status Choose(const LtSettings& settings,
                      absl::Span<const GroupedProduct> products);
  DevicePtr Array(int index) const;

  const LtHandle* handle_;
  DevicePtr table_ = 0;
  int groups_ = 0;
  bool accumulate_ = false;
  LtDescriptors descriptors_;
  LtCandidate candidate_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_GROUPED_GEMM_H_
