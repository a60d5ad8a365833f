// What we use of cuBLASLt's C interface, declared by ourselves: so all planning
// compiles, and is tested on a fake, where CUDA is not installed. The names of
// functions are the library's; abi_test.cc holds the rest against its header.
#ifndef KERNELS_CUDA_LT_ABI_H_
#define KERNELS_CUDA_LT_ABI_H_

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/driver_types.h"

// As in <cublasLt.h>: the library's own type.
struct cublasLtContext;

namespace peft {
namespace kernels {
namespace cuda {

using LtHandleType = cublasLtContext*;

// cublasStatus_t.
using LtStatus = int;
constexpr LtStatus kLtSuccess = 0;
constexpr LtStatus kLtNotInitialized = 1;
constexpr LtStatus kLtAllocFailed = 3;
constexpr LtStatus kLtInvalidValue = 7;
constexpr LtStatus kLtExecutionFailed = 13;
constexpr LtStatus kLtNotSupported = 15;

// cudaDataType.
enum class LtDataType : int32_t { kF32 = 0, kF16 = 2, kBF16 = 14 };

// cublasComputeType_t.
enum class LtCompute : int32_t {
  kF32 = 68,
  kF32FastTf32 = 77,  // factors of f32 are rounded to 10 bits of mantissa
};

// cublasOperation_t.
enum class LtOperation : int32_t { kNone = 0, kTranspose = 1 };

// cublasLtOrder_t. All our matrices are row-major, which column-major says of
// their transposes.
enum class LtOrder : int32_t { kColumn = 0, kRow = 1 };

// cublasLtPointerMode_t.
enum class LtPointerMode : int32_t {
  kHost = 0,
  kDevice = 1,                     // alpha and beta are in device memory
  kDeviceVector = 2,               // and one of each per row of D
  kAlphaDeviceVectorBetaZero = 3,  // an alpha per row of D
};

// cublasLtEpilogue_t: of bits.
enum class LtEpilogue : uint32_t {
  kDefault = 1,
  kRelu = 2,
  kBias = 4,
  kReluBias = 6,
  kGelu = 32,  // the approximation by tanh
  kGeluBias = 36,
};

// cublasLtReductionScheme_t: how the parts of a sum that was split along k come
// together. The mask lets all of them pass.
constexpr uint32_t kLtReductionNone = 0;
constexpr uint32_t kLtReductionComputeType = 2;
constexpr uint32_t kLtReductionMask = 7;

// cublasLtBatchMode_t.
enum class LtBatchMode : int32_t {
  kStrided = 0,
  kGrouped = 2,  // each matrix has a size of its own, in device memory
};

// cublasLtIntegerWidth_t: of the sizes there.
enum class LtIntegerWidth : int32_t { k32 = 0, k64 = 1 };

// cublasLtMatrixLayoutAttribute_t.
enum class LtLayoutAttribute : int32_t {
  kType = 0,
  kOrder = 1,
  kRows = 2,
  kCols = 3,
  kLd = 4,
  kBatchCount = 5,
  kStridedBatchOffset = 6,
  // From version 13.2 on, as are sizes and leading dimensions in arrays.
  kBatchMode = 8,
  kRowsArray = 9,
  kColsArray = 10,
  kLdArray = 11,
  kSizesWidth = 12,
  kLdWidth = 13,
};

// cublasLtMatmulDescAttributes_t.
enum class LtDescAttribute : int32_t {
  kComputeType = 0,
  kScaleType = 1,
  kPointerMode = 2,
  kTransA = 3,
  kTransB = 4,
  kTransC = 5,
  kEpilogue = 7,
  kBiasPointer = 8,
  kBiasBatchStride = 10,
  kBiasDataType = 26,
};

// cublasLtMatmulPreferenceAttributes_t.
enum class LtPreferenceAttribute : int32_t {
  kSearchMode = 0,
  kMaxWorkspaceBytes = 1,
  kReductionSchemeMask = 3,
  kMinAlignmentA = 5,
  kMinAlignmentB = 6,
  kMinAlignmentC = 7,
  kMinAlignmentD = 8,
  // From version 13.2 on: 64 bits, although its header says 32.
  kGroupedAverageK = 13,
  kGroupedAverageRows = 14,
  kGroupedAverageCols = 15,
};

// cublasLtMatmulAlgoConfigAttributes_t.
enum class LtAlgoAttribute : int32_t {
  kId = 0,
  kTile = 1,
  kSplitK = 2,
  kReductionScheme = 3,
  kSwizzling = 4,
  kCustomOption = 5,
  kStages = 6,
  kInnerShape = 7,    // 16 bits, all others 32
  kClusterShape = 8,  // 16 bits
};

// The library's descriptors, which live where we put them.
struct LtMatrixLayout {
  uint64_t data[14];  // 8 are enough before version 13.2
};
struct LtMatmulDesc {
  uint64_t data[32];
};
struct LtPreference {
  uint64_t data[12];  // 8 are enough before version 13.2
};
struct LtAlgo {
  uint64_t data[8];
};

// cublasLtMatmulHeuristicResult_t.
struct LtHeuristicResult {
  LtAlgo algo;
  size_t workspace_bytes;
  LtStatus state;
  float waves;
  int32_t reserved[4];
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_ABI_H_
