// Our declarations of cuBLASLt are the real ones: compiled with its header, and
// with --config=cuda only.

#include "kernels/cuda/lt/abi.h"

#include <cublasLt.h>

#include <cstddef>
#include <type_traits>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// What each type of ours is in the header.
template <typename T>
struct Theirs {
  using type = T;
};
template <typename T>
struct Theirs<T*> {
  using type = typename Theirs<T>::type*;
};
template <typename T>
struct Theirs<const T> {
  using type = const typename Theirs<T>::type;
};
#define PEFT_SAME(ours, theirs)                                           \
  template <>                                                             \
  struct Theirs<ours> {                                                   \
    using type = theirs;                                                  \
  };                                                                      \
  static_assert(                                                          \
      sizeof(ours) == sizeof(theirs) && alignof(ours) == alignof(theirs), \
      #ours)
PEFT_SAME(LtDataType, cudaDataType);
PEFT_SAME(LtCompute, cublasComputeType_t);
PEFT_SAME(LtBatchMode, cublasLtBatchMode_t);
PEFT_SAME(LtIntegerWidth, cublasLtIntegerWidth_t);
PEFT_SAME(LtLayoutAttribute, cublasLtMatrixLayoutAttribute_t);
PEFT_SAME(LtDescAttribute, cublasLtMatmulDescAttributes_t);
PEFT_SAME(LtPreferenceAttribute, cublasLtMatmulPreferenceAttributes_t);
PEFT_SAME(LtAlgoAttribute, cublasLtMatmulAlgoConfigAttributes_t);
PEFT_SAME(LtMatrixLayout, cublasLtMatrixLayoutOpaque_t);
PEFT_SAME(LtMatmulDesc, cublasLtMatmulDescOpaque_t);
PEFT_SAME(LtPreference, cublasLtMatmulPreferenceOpaque_t);
PEFT_SAME(LtAlgo, cublasLtMatmulAlgo_t);
PEFT_SAME(LtHeuristicResult, cublasLtMatmulHeuristicResult_t);
#undef PEFT_SAME

// The header leaves out the const of descriptors that are only read.
template <typename Ours, typename Given>
constexpr bool SameParameter() {
  using Expected = typename Theirs<Ours>::type;
  if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Given>) {
    return std::is_same_v<std::remove_const_t<std::remove_pointer_t<Expected>>,
                          std::remove_const_t<std::remove_pointer_t<Given>>>;
  } else {
    // cublasStatus_t is an int of ours.
    return std::is_same_v<Expected, Given> ||
           (std::is_enum_v<Given> && std::is_same_v<Ours, int>);
  }
}

template <typename R, typename... Ours, typename S, typename... Given>
constexpr bool SameFunction(R (*)(Ours...), S (*)(Given...)) {
  if constexpr (sizeof...(Ours) == sizeof...(Given)) {
    return SameParameter<R, S>() && (SameParameter<Ours, Given>() && ...);
  }
  return false;
}

#define PEFT_LT_FUNCTION(type, name, parameters)                       \
  static_assert(SameFunction(static_cast<type(*) parameters>(nullptr), \
                             static_cast<decltype(&::name)>(nullptr)), \
                #name);
#include "kernels/cuda/lt/functions.inc"
#include "kernels/cuda/lt/grouped_functions.inc"
#undef PEFT_LT_FUNCTION

template <typename Ours, typename Given>
constexpr bool Same(Ours ours, Given given) {
  return static_cast<int64_t>(ours) == static_cast<int64_t>(given);
}

static_assert(Same(kLtSuccess, CUBLAS_STATUS_SUCCESS));
static_assert(Same(kLtNotInitialized, CUBLAS_STATUS_NOT_INITIALIZED));
static_assert(Same(kLtAllocFailed, CUBLAS_STATUS_ALLOC_FAILED));
static_assert(Same(kLtInvalidValue, CUBLAS_STATUS_INVALID_VALUE));
static_assert(Same(kLtExecutionFailed, CUBLAS_STATUS_EXECUTION_FAILED));
static_assert(Same(kLtNotSupported, CUBLAS_STATUS_NOT_SUPPORTED));

static_assert(Same(LtDataType::kF32, CUDA_R_32F));
static_assert(Same(LtDataType::kF16, CUDA_R_16F));
static_assert(Same(LtDataType::kBF16, CUDA_R_16BF));
static_assert(Same(LtCompute::kF32, CUBLAS_COMPUTE_32F));
static_assert(Same(LtCompute::kF32FastTf32, CUBLAS_COMPUTE_32F_FAST_TF32));
static_assert(Same(LtOperation::kNone, CUBLAS_OP_N));
static_assert(Same(LtOperation::kTranspose, CUBLAS_OP_T));
static_assert(Same(LtOrder::kColumn, CUBLASLT_ORDER_COL));
static_assert(Same(LtOrder::kRow, CUBLASLT_ORDER_ROW));

static_assert(Same(LtPointerMode::kHost, CUBLASLT_POINTER_MODE_HOST));
static_assert(Same(LtPointerMode::kDevice, CUBLASLT_POINTER_MODE_DEVICE));
static_assert(Same(LtPointerMode::kDeviceVector,
                   CUBLASLT_POINTER_MODE_DEVICE_VECTOR));
static_assert(Same(LtPointerMode::kAlphaDeviceVectorBetaZero,
                   CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO));

static_assert(Same(LtEpilogue::kDefault, CUBLASLT_EPILOGUE_DEFAULT));
static_assert(Same(LtEpilogue::kRelu, CUBLASLT_EPILOGUE_RELU));
static_assert(Same(LtEpilogue::kBias, CUBLASLT_EPILOGUE_BIAS));
static_assert(Same(LtEpilogue::kReluBias, CUBLASLT_EPILOGUE_RELU_BIAS));
static_assert(Same(LtEpilogue::kGelu, CUBLASLT_EPILOGUE_GELU));
static_assert(Same(LtEpilogue::kGeluBias, CUBLASLT_EPILOGUE_GELU_BIAS));

static_assert(Same(kLtReductionNone, CUBLASLT_REDUCTION_SCHEME_NONE));
static_assert(Same(kLtReductionComputeType,
                   CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
static_assert(Same(kLtReductionMask, CUBLASLT_REDUCTION_SCHEME_MASK));

static_assert(Same(LtLayoutAttribute::kType, CUBLASLT_MATRIX_LAYOUT_TYPE));
static_assert(Same(LtLayoutAttribute::kOrder, CUBLASLT_MATRIX_LAYOUT_ORDER));
static_assert(Same(LtLayoutAttribute::kRows, CUBLASLT_MATRIX_LAYOUT_ROWS));
static_assert(Same(LtLayoutAttribute::kCols, CUBLASLT_MATRIX_LAYOUT_COLS));
static_assert(Same(LtLayoutAttribute::kLd, CUBLASLT_MATRIX_LAYOUT_LD));
static_assert(Same(LtLayoutAttribute::kBatchCount,
                   CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT));
static_assert(Same(LtLayoutAttribute::kStridedBatchOffset,
                   CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET));
static_assert(Same(LtLayoutAttribute::kBatchMode,
                   CUBLASLT_MATRIX_LAYOUT_BATCH_MODE));
static_assert(Same(LtLayoutAttribute::kRowsArray,
                   CUBLASLT_GROUPED_MATRIX_LAYOUT_ROWS_ARRAY));
static_assert(Same(LtLayoutAttribute::kColsArray,
                   CUBLASLT_GROUPED_MATRIX_LAYOUT_COLS_ARRAY));
static_assert(Same(LtLayoutAttribute::kLdArray,
                   CUBLASLT_GROUPED_MATRIX_LAYOUT_LD_ARRAY));
static_assert(
    Same(LtLayoutAttribute::kSizesWidth,
         CUBLASLT_GROUPED_MATRIX_LAYOUT_ROWS_COLS_ARRAY_INTEGER_WIDTH));
static_assert(Same(LtLayoutAttribute::kLdWidth,
                   CUBLASLT_GROUPED_MATRIX_LAYOUT_LD_ARRAY_INTEGER_WIDTH));
static_assert(Same(LtBatchMode::kStrided, CUBLASLT_BATCH_MODE_STRIDED));
static_assert(Same(LtBatchMode::kGrouped, CUBLASLT_BATCH_MODE_GROUPED));
static_assert(Same(LtIntegerWidth::k32, CUBLASLT_INTEGER_WIDTH_32));
static_assert(Same(LtIntegerWidth::k64, CUBLASLT_INTEGER_WIDTH_64));

static_assert(Same(LtDescAttribute::kComputeType,
                   CUBLASLT_MATMUL_DESC_COMPUTE_TYPE));
static_assert(Same(LtDescAttribute::kScaleType,
                   CUBLASLT_MATMUL_DESC_SCALE_TYPE));
static_assert(Same(LtDescAttribute::kPointerMode,
                   CUBLASLT_MATMUL_DESC_POINTER_MODE));
static_assert(Same(LtDescAttribute::kTransA, CUBLASLT_MATMUL_DESC_TRANSA));
static_assert(Same(LtDescAttribute::kTransB, CUBLASLT_MATMUL_DESC_TRANSB));
static_assert(Same(LtDescAttribute::kTransC, CUBLASLT_MATMUL_DESC_TRANSC));
static_assert(Same(LtDescAttribute::kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE));
static_assert(Same(LtDescAttribute::kBiasPointer,
                   CUBLASLT_MATMUL_DESC_BIAS_POINTER));
static_assert(Same(LtDescAttribute::kBiasBatchStride,
                   CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE));
static_assert(Same(LtDescAttribute::kBiasDataType,
                   CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE));

static_assert(Same(LtPreferenceAttribute::kSearchMode,
                   CUBLASLT_MATMUL_PREF_SEARCH_MODE));
static_assert(Same(LtPreferenceAttribute::kMaxWorkspaceBytes,
                   CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES));
static_assert(Same(LtPreferenceAttribute::kReductionSchemeMask,
                   CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK));
static_assert(Same(LtPreferenceAttribute::kMinAlignmentA,
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES));
static_assert(Same(LtPreferenceAttribute::kMinAlignmentB,
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES));
static_assert(Same(LtPreferenceAttribute::kMinAlignmentC,
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES));
static_assert(Same(LtPreferenceAttribute::kMinAlignmentD,
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES));
static_assert(Same(LtPreferenceAttribute::kGroupedAverageK,
                   CUBLASLT_MATMUL_PREF_GROUPED_AVERAGE_REDUCTION_DIM));
static_assert(Same(LtPreferenceAttribute::kGroupedAverageRows,
                   CUBLASLT_MATMUL_PREF_GROUPED_DESC_D_AVERAGE_ROWS));
static_assert(Same(LtPreferenceAttribute::kGroupedAverageCols,
                   CUBLASLT_MATMUL_PREF_GROUPED_DESC_D_AVERAGE_COLS));

static_assert(Same(LtAlgoAttribute::kId, CUBLASLT_ALGO_CONFIG_ID));
static_assert(Same(LtAlgoAttribute::kTile, CUBLASLT_ALGO_CONFIG_TILE_ID));
static_assert(Same(LtAlgoAttribute::kSplitK, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
static_assert(Same(LtAlgoAttribute::kReductionScheme,
                   CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME));
static_assert(Same(LtAlgoAttribute::kSwizzling,
                   CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING));
static_assert(Same(LtAlgoAttribute::kCustomOption,
                   CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION));
static_assert(Same(LtAlgoAttribute::kStages, CUBLASLT_ALGO_CONFIG_STAGES_ID));
static_assert(Same(LtAlgoAttribute::kInnerShape,
                   CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID));
static_assert(Same(LtAlgoAttribute::kClusterShape,
                   CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID));

static_assert(offsetof(LtHeuristicResult, workspace_bytes) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(LtHeuristicResult, state) ==
              offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(offsetof(LtHeuristicResult, waves) ==
              offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));

TEST(LtAbiTest, IsTheHeaders) {
  SUCCEED() << "all of it was checked when this was compiled";
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
