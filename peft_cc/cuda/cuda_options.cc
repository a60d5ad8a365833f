#include "peft_cc/cuda/cuda_options.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// More than any program has, and far from overflowing the sizes of tables.
constexpr int kMaxAdapters = 64;
constexpr int kMaxRank = 4096;
constexpr int kMaxActivations = 1024;

absl::Status CheckRange(absl::string_view name, int64_t value, int64_t min,
                        int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("options.", name, " is ", value, ", expected ", min, " to ",
                   max),
      {std::string(name), absl::StrCat(min, " to ", max), absl::StrCat(value)});
}

absl::Status CheckDType(absl::string_view name, DType dtype) {
  if (IsComputeDType(dtype)) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("options.", name, " is ", DTypeName(dtype),
                   ", expected F32, F16 or BF16"),
      {std::string(name), "F32, F16 or BF16", std::string(DTypeName(dtype))});
}

}  // namespace

absl::Status CheckCudaOptions(const CudaOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckDType("dtype", options.dtype));
  PEFT_RETURN_IF_ERROR(CheckDType("adapter_dtype", options.adapter_dtype));
  PEFT_RETURN_IF_ERROR(
      CheckRange("max_adapters", options.max_adapters, 1, kMaxAdapters));
  PEFT_RETURN_IF_ERROR(CheckRange("max_rank", options.max_rank, 1, kMaxRank));
  PEFT_RETURN_IF_ERROR(CheckRange("max_activations", options.max_activations, 1,
                                  kMaxActivations));
  return CheckRange("adapter_bytes", options.adapter_bytes, 1,
                    int64_t{1} << 48);
}

}  // namespace peft
