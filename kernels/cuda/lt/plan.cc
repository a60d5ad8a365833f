#include "kernels/cuda/lt/plan.h"

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kWorkspaceAlignment = 256;
constexpr float kZero = 0.0f;
constexpr float kOne = 1.0f;

// The library takes all addresses as pointers.
void* Pointer(DevicePtr address) { return reinterpret_cast<void*>(address); }

absl::Status CheckAddress(const Gemm& gemm, const char* name, DevicePtr address,
                          int64_t alignment) {
  if (address != 0 && address % alignment == 0) return absl::OkStatus();
  return ArgumentError(absl::StrCat(
      "the ", name, " of ", GemmText(gemm), " is at ", absl::Hex(address),
      ", expected a multiple of ", alignment, ", as was planned for"));
}

}  // namespace

absl::Status GemmPlan::CheckPointers(const LtStream& stream,
                                     const GemmPointers& pointers) const {
  PEFT_RETURN_IF_ERROR(
      CheckAddress(gemm_, "left matrix", pointers.left, gemm_.left.alignment));
  PEFT_RETURN_IF_ERROR(CheckAddress(gemm_, "right matrix", pointers.right,
                                    gemm_.right.alignment));
  PEFT_RETURN_IF_ERROR(
      CheckAddress(gemm_, "result", pointers.out, gemm_.out.alignment));
  if (gemm_.bias_alignment != 0) {
    PEFT_RETURN_IF_ERROR(
        CheckAddress(gemm_, "bias", pointers.bias, gemm_.bias_alignment));
  } else if (pointers.bias != 0) {
    return ArgumentError("a bias is given to a product that has none");
  }
  if (gemm_.scale != GemmScale::kOne) {
    PEFT_RETURN_IF_ERROR(
        CheckAddress(gemm_, "scale", pointers.scale, sizeof(float)));
    PEFT_RETURN_IF_ERROR(CheckAddress(gemm_, "constants 0 and 1",
                                      stream.zero_one, sizeof(float)));
  }
  if (candidate_.workspace_bytes == 0) return absl::OkStatus();
  if (stream.workspace_bytes < candidate_.workspace_bytes) {
    return ArgumentError(absl::StrCat(
        GemmText(gemm_), " needs a workspace of ", candidate_.workspace_bytes,
        " bytes, the stream has ", stream.workspace_bytes));
  }
  return CheckAddress(gemm_, "workspace", stream.workspace,
                      kWorkspaceAlignment);
}

absl::Status GemmPlan::Run(const LtStream& stream,
                           const GemmPointers& pointers) const {
  PEFT_RETURN_IF_ERROR(CheckPointers(stream, pointers));
  const LtLibrary& library = handle_.library();
  LtMatmulDesc with_bias;
  const LtMatmulDesc* desc = &descriptors_.desc;
  if (gemm_.bias_alignment != 0) {
    // A copy: other threads may run the plan with another bias.
    with_bias = descriptors_.desc;
    PEFT_RETURN_IF_ERROR(SetBias(library, pointers.bias, &with_bias));
    desc = &with_bias;
  }
  const void* alpha = &kOne;
  const void* beta = gemm_.accumulate ? &kOne : &kZero;
  if (gemm_.scale != GemmScale::kOne) alpha = Pointer(pointers.scale);
  if (gemm_.scale == GemmScale::kDevice) {
    beta = Pointer(stream.zero_one + (gemm_.accumulate ? sizeof(float) : 0));
  }
  return library.Check(
      library->cublasLtMatmul(
          handle_.get(), desc, alpha, Pointer(pointers.right), &descriptors_.a,
          Pointer(pointers.left), &descriptors_.b, beta, Pointer(pointers.out),
          &descriptors_.d, Pointer(pointers.out), &descriptors_.d,
          &candidate_.algo, Pointer(stream.workspace),
          static_cast<size_t>(stream.workspace_bytes), stream.stream),
      "multiplying");
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
