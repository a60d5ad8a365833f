#include "kernels/cuda/lt/descriptors.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kMiB = 1 << 20;

LtDataType DataType(DType dtype) {
  if (dtype == DType::kF16) return LtDataType::kF16;
  if (dtype == DType::kBF16) return LtDataType::kBF16;
  return LtDataType::kF32;
}

LtPointerMode PointerMode(GemmScale scale) {
  if (scale == GemmScale::kDevice) return LtPointerMode::kDevice;
  if (scale == GemmScale::kDevicePerColumn) {
    return LtPointerMode::kAlphaDeviceVectorBetaZero;
  }
  return LtPointerMode::kHost;
}

LtEpilogue Epilogue(const Gemm& gemm) {
  const bool bias = gemm.bias_alignment != 0;
  if (gemm.activation == GemmActivation::kRelu) {
    return bias ? LtEpilogue::kReluBias : LtEpilogue::kRelu;
  }
  if (gemm.activation == GemmActivation::kGeluTanh) {
    return bias ? LtEpilogue::kGeluBias : LtEpilogue::kGelu;
  }
  return bias ? LtEpilogue::kBias : LtEpilogue::kDefault;
}

template <typename Value>
absl::Status SetDesc(const LtLibrary& library, LtDescAttribute attribute,
                     Value value, LtMatmulDesc* desc) {
  return library.Check(library->cublasLtMatmulDescSetAttribute(
                           desc, attribute, &value, sizeof(value)),
                       "describing a product");
}

template <typename Value>
absl::Status SetPreference(const LtLibrary& library,
                           LtPreferenceAttribute attribute, Value value,
                           LtPreference* preference) {
  return library.Check(library->cublasLtMatmulPreferenceSetAttribute(
                           preference, attribute, &value, sizeof(value)),
                       "describing what is preferred");
}

// The layout of a matrix that has `rows` rows of `cols` as it is stored.
absl::Status DescribeMatrix(const LtLibrary& library, const GemmMatrix& matrix,
                            int64_t rows, int64_t cols,
                            LtMatrixLayout* layout) {
  return library.Check(library->cublasLtMatrixLayoutInit_internal(
                           layout, sizeof(*layout), DataType(matrix.dtype),
                           cols, rows, matrix.stride),
                       "describing a matrix");
}

absl::Status DescribeMatrices(const LtLibrary& library, const Gemm& gemm,
                              LtDescriptors* to) {
  const bool right = gemm.right.transposed;
  const bool left = gemm.left.transposed;
  PEFT_RETURN_IF_ERROR(DescribeMatrix(library, gemm.right,
                                      right ? gemm.n : gemm.k,
                                      right ? gemm.k : gemm.n, &to->a));
  PEFT_RETURN_IF_ERROR(DescribeMatrix(library, gemm.left,
                                      left ? gemm.k : gemm.m,
                                      left ? gemm.m : gemm.k, &to->b));
  return DescribeMatrix(library, gemm.out, gemm.m, gemm.n, &to->d);
}

absl::Status DescribeProduct(const LtLibrary& library, const Gemm& gemm,
                             LtDescriptors* to) {
  const auto operation = [](bool transposed) {
    return transposed ? LtOperation::kTranspose : LtOperation::kNone;
  };
  PEFT_RETURN_IF_ERROR(library.Check(
      library->cublasLtMatmulDescInit_internal(&to->desc, sizeof(to->desc),
                                               to->compute, LtDataType::kF32),
      "describing a product"));
  PEFT_RETURN_IF_ERROR(SetDesc(library, LtDescAttribute::kTransA,
                               operation(gemm.right.transposed), &to->desc));
  PEFT_RETURN_IF_ERROR(SetDesc(library, LtDescAttribute::kTransB,
                               operation(gemm.left.transposed), &to->desc));
  PEFT_RETURN_IF_ERROR(SetDesc(library, LtDescAttribute::kPointerMode,
                               PointerMode(gemm.scale), &to->desc));
  PEFT_RETURN_IF_ERROR(
      SetDesc(library, LtDescAttribute::kEpilogue, Epilogue(gemm), &to->desc));
  if (gemm.bias_alignment == 0) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(SetDesc(library, LtDescAttribute::kBiasDataType,
                               to->out_type, &to->desc));
  // An address with that alignment, for the choice of an algorithm.
  return SetBias(library, gemm.bias_alignment, &to->desc);
}

absl::Status DescribePreference(const LtLibrary& library, const Gemm& gemm,
                                const LtSettings& settings,
                                LtPreference* preference) {
  PEFT_RETURN_IF_ERROR(
      library.Check(library->cublasLtMatmulPreferenceInit_internal(
                        preference, sizeof(*preference)),
                    "describing what is preferred"));
  PEFT_RETURN_IF_ERROR(SetPreference(
      library, LtPreferenceAttribute::kMaxWorkspaceBytes,
      static_cast<uint64_t>(settings.workspace_bytes), preference));
  PEFT_RETURN_IF_ERROR(SetPreference(
      library, LtPreferenceAttribute::kReductionSchemeMask,
      settings.deterministic ? kLtReductionNone : kLtReductionMask,
      preference));
  const std::pair<LtPreferenceAttribute, int64_t> alignments[] = {
      {LtPreferenceAttribute::kMinAlignmentA, gemm.right.alignment},
      {LtPreferenceAttribute::kMinAlignmentB, gemm.left.alignment},
      {LtPreferenceAttribute::kMinAlignmentC, gemm.out.alignment},
      {LtPreferenceAttribute::kMinAlignmentD, gemm.out.alignment}};
  for (const auto& alignment : alignments) {
    PEFT_RETURN_IF_ERROR(SetPreference(library, alignment.first,
                                       static_cast<uint32_t>(alignment.second),
                                       preference));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t DefaultWorkspaceBytes(int compute_major) {
  return compute_major >= 9 ? 32 * kMiB : 4 * kMiB;
}

absl::StatusOr<LtDescriptors> DescribeGemm(const LtLibrary& library,
                                           const Gemm& gemm,
                                           const LtSettings& settings) {
  PEFT_RETURN_IF_ERROR(ValidateGemm(gemm));
  LtDescriptors result;
  if (settings.allow_tf32 && gemm.left.dtype == DType::kF32) {
    result.compute = LtCompute::kF32FastTf32;
  }
  result.in_type = DataType(gemm.left.dtype);
  result.out_type = DataType(gemm.out.dtype);
  PEFT_RETURN_IF_ERROR(DescribeMatrices(library, gemm, &result));
  PEFT_RETURN_IF_ERROR(DescribeProduct(library, gemm, &result));
  PEFT_RETURN_IF_ERROR(
      DescribePreference(library, gemm, settings, &result.preference));
  return result;
}

absl::Status SetBias(const LtLibrary& library, uint64_t address,
                     LtMatmulDesc* desc) {
  return SetDesc(library, LtDescAttribute::kBiasPointer, address, desc);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
