// A Gemm in cuBLASLt's words.
#ifndef KERNELS_CUDA_LT_DESCRIPTORS_H_
#define KERNELS_CUDA_LT_DESCRIPTORS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/gemm.h"
#include "kernels/cuda/lt/library.h"

namespace peft {
namespace kernels {
namespace cuda {

// What all products of a PlanCache share.
struct LtSettings {
  // Of the memory that a product may use beside its operands. The algorithm
  // depends on it, and with that the last bits of results.
  int64_t workspace_bytes = 32 << 20;
  // No sum is split: results depend on the shapes alone.
  bool deterministic = false;
  // F32 factors may be rounded to TF32, which tensor cores multiply.
  bool allow_tf32 = false;
};

// The workspace that NVIDIA's own libraries use on a device of that compute
// capability: more no algorithm asks for.
int64_t DefaultWorkspaceBytes(int compute_major);

// The library's descriptors of one Gemm. It sees matrices by columns, so they
// say out^T = right^T left^T: its A is our `right`, its B our `left`, and its
// rows are our columns.
struct LtDescriptors {
  LtCompute compute = LtCompute::kF32;
  LtDataType in_type = LtDataType::kF32;
  LtDataType out_type = LtDataType::kF32;
  LtMatmulDesc desc = {};
  LtMatrixLayout a = {};
  LtMatrixLayout b = {};
  LtMatrixLayout d = {};  // and C
  LtPreference preference = {};
};

// Fails with what ValidateGemm says, or INTERNAL (CUBLASLT).
absl::StatusOr<LtDescriptors> DescribeGemm(const LtLibrary& library,
                                           const Gemm& gemm,
                                           const LtSettings& settings);

// Sets the address of the bias, of which the library wants to know when it
// chooses (its alignment) and when it runs.
absl::Status SetBias(const LtLibrary& library, uint64_t address,
                     LtMatmulDesc* desc);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_DESCRIPTORS_H_
