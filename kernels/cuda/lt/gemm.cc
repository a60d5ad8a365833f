#include "kernels/cuda/lt/gemm.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// The library's sizes are 32 bits wide in most of its kernels.
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxAlignment = 256;

bool IsAlignment(int64_t value) {
  return value > 0 && value <= kMaxAlignment && (value & (value - 1)) == 0;
}

// `rows` and `cols` are those of the matrix as it is stored.
absl::Status ValidateMatrix(const Gemm& gemm, const char* name,
                            const GemmMatrix& matrix, int64_t cols) {
  if (!IsComputeDType(matrix.dtype)) {
    return MakeError(
        absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
        absl::StrCat("the ", name, " matrix of ", GemmText(gemm), " is ",
                     DTypeName(matrix.dtype), ", expected F32, F16 or BF16"));
  }
  if (matrix.stride < cols || matrix.stride > kMaxSize) {
    return ArgumentError(absl::StrFormat(
        "the rows of the %s matrix of %s have %d elements and lie %d apart",
        name, GemmText(gemm), cols, matrix.stride));
  }
  if (!IsAlignment(matrix.alignment) ||
      matrix.alignment < DTypeSize(matrix.dtype)) {
    return ArgumentError(absl::StrFormat(
        "the %s matrix of %s has alignment %d, expected a power of two from "
        "the size of an element to %d",
        name, GemmText(gemm), matrix.alignment, kMaxAlignment));
  }
  return absl::OkStatus();
}

absl::Status ValidateDTypes(const Gemm& gemm) {
  const DType in = gemm.left.dtype;
  const DType out = gemm.out.dtype;
  if (gemm.right.dtype == in && (out == in || out == DType::kF32)) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
      absl::StrCat("cuBLASLt has no product ", DTypeName(in), " x ",
                   DTypeName(gemm.right.dtype), " -> ", DTypeName(out),
                   ": both factors must be of one dtype, and the result of "
                   "that or F32"));
}

absl::Status ValidateEnds(const Gemm& gemm) {
  if (gemm.out.transposed) {
    return ArgumentError("the result of a product cannot be transposed");
  }
  if (gemm.scale == GemmScale::kDevicePerColumn && gemm.accumulate) {
    return ArgumentError(
        "a product with a scale per column cannot be accumulated");
  }
  if (gemm.bias_alignment != 0 &&
      (!IsAlignment(gemm.bias_alignment) ||
       gemm.bias_alignment < DTypeSize(gemm.out.dtype))) {
    return ArgumentError(
        absl::StrCat("a bias has alignment ", gemm.bias_alignment));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateGemm(const Gemm& gemm) {
  for (int64_t size : {gemm.m, gemm.n, gemm.k}) {
    if (size <= 0 || size > kMaxSize) {
      return ArgumentError(absl::StrCat("a product ", GemmText(gemm),
                                        ": sizes are from 1 to ", kMaxSize));
    }
  }
  PEFT_RETURN_IF_ERROR(ValidateMatrix(gemm, "left", gemm.left,
                                      gemm.left.transposed ? gemm.m : gemm.k));
  PEFT_RETURN_IF_ERROR(ValidateMatrix(gemm, "right", gemm.right,
                                      gemm.right.transposed ? gemm.k : gemm.n));
  PEFT_RETURN_IF_ERROR(ValidateMatrix(gemm, "result", gemm.out, gemm.n));
  PEFT_RETURN_IF_ERROR(ValidateDTypes(gemm));
  return ValidateEnds(gemm);
}

GemmKey KeyOf(const Gemm& gemm) {
  GemmKey key{};
  int next = 0;
  for (int64_t size : {gemm.m, gemm.n, gemm.k}) key[next++] = size;
  for (const GemmMatrix* matrix : {&gemm.left, &gemm.right, &gemm.out}) {
    key[next++] = static_cast<int64_t>(matrix->dtype);
    key[next++] = matrix->stride;
    key[next++] = matrix->alignment;
    key[next++] = matrix->transposed;
  }
  key[next++] = static_cast<int64_t>(gemm.scale);
  key[next++] = gemm.accumulate;
  key[next++] = gemm.bias_alignment;
  key[next++] = static_cast<int64_t>(gemm.activation);
  return key;
}

bool GemmFromKey(const GemmKey& key, Gemm* gemm) {
  int next = 0;
  for (int64_t* size : {&gemm->m, &gemm->n, &gemm->k}) *size = key[next++];
  for (GemmMatrix* matrix : {&gemm->left, &gemm->right, &gemm->out}) {
    matrix->dtype = static_cast<DType>(key[next++]);
    matrix->stride = key[next++];
    matrix->alignment = key[next++];
    matrix->transposed = key[next++] == 1;
  }
  gemm->scale = static_cast<GemmScale>(key[next++]);
  gemm->accumulate = key[next++] == 1;
  gemm->bias_alignment = key[next++];
  gemm->activation = static_cast<GemmActivation>(key[next++]);
  const bool in_range = gemm->scale >= GemmScale::kOne &&
                        gemm->scale <= GemmScale::kDevicePerColumn &&
                        gemm->activation >= GemmActivation::kNone &&
                        gemm->activation <= GemmActivation::kGeluTanh;
  // What a narrowing cast or a flag has changed does not come back.
  return in_range && KeyOf(*gemm) == key;
}

Gemm BucketOf(Gemm gemm) {
  int64_t& rows = gemm.left.transposed ? gemm.k : gemm.m;
  int64_t rounded = 1;
  while (rounded < rows) rounded *= 2;
  rows = rounded;
  return gemm;
}

std::string GemmText(const Gemm& gemm) {
  return absl::StrFormat("y[%d, %d] = x[%d, %d] w[%d, %d], %s", gemm.m, gemm.n,
                         gemm.m, gemm.k, gemm.k, gemm.n,
                         DTypeName(gemm.left.dtype));
}

int64_t AlignmentOf(uint64_t address) {
  const uint64_t with_limit = address | kMaxAlignment;
  return static_cast<int64_t>(with_limit & ~(with_limit - 1));
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
