// Element types of tensors, and the conversions between the small floats and
// f32 that every other part shares.
#ifndef PEFT_CC_BASE_DTYPE_H_
#define PEFT_CC_BASE_DTYPE_H_

#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/string_view.h"

namespace peft {

// The values are part of the C ABI (`PEFT_DTYPE_*`): never renumber.
enum class DType : int32_t {
  kUnspecified = 0,
  kBool = 1,
  kU8 = 2,
  kI8 = 3,
  kU16 = 4,
  kI16 = 5,
  kU32 = 6,
  kI32 = 7,
  kU64 = 8,
  kI64 = 9,
  kF16 = 10,
  kBF16 = 11,
  kF32 = 12,
  kF64 = 13,
  kF8E4M3 = 14,
  kF8E5M2 = 15,
  kC64 = 16,
  kF8E8M0 = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2FNUZ = 19,
  kF4 = 20,
  kF6E2M3 = 21,
  kF6E3M2 = 22,
  // Codes of quantised weights, which mean nothing without the scales of their
  // blocks (kernels/view.h). No file names them, and the C ABI shows none.
  kTable4 = 1000,  // 4 bits: which of 16 values, NF4 and FP4
  kQ4 = 1001,      // 4 bits: -8 to 7
  kQ8 = 1002,      // 8 bits: -127 to 127
};

// Bits of one element; 0 for kUnspecified.
int DTypeBits(DType dtype);

// Bytes of one element of a dtype with whole bytes; 0 for the others.
inline int DTypeSize(DType dtype) {
  const int bits = DTypeBits(dtype);
  return bits % 8 == 0 ? bits / 8 : 0;
}

// The name that safetensors files use ("F32", "BF16", "F8_E4M3" ...), and for
// codes "4-bit codes", "Q4" and "Q8".
absl::string_view DTypeName(DType dtype);

// True for the codes of quantised weights.
inline bool IsQuantized(DType dtype) { return dtype >= DType::kTable4; }

// The dtype of that name; nullopt for any other text (case-sensitive).
std::optional<DType> DTypeFromName(absl::string_view name);

// True for F16, BF16 and F32: what weights and adapters may be stored in.
bool IsComputeDType(DType dtype);

// Exact: BF16 is the upper half of F32.
inline float BF16ToF32(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

// Rounds to nearest, ties to even; NaN stays NaN.
uint16_t F32ToBF16(float value);

// Exact, subnormals included.
float F16ToF32(uint16_t value);

// Rounds to nearest, ties to even; too large becomes infinity.
uint16_t F32ToF16(float value);

// Converts `count` elements of `src` (any real dtype of whole bytes, unaligned
// allowed) to f32. Returns false for dtypes that have no conversion.
bool ConvertToF32(DType dtype, const void* src, int64_t count, float* dst);

// Converts `count` f32 values to kF32, kF16 or kBF16 at `dst`, unaligned
// allowed. Returns false for other dtypes.
bool ConvertFromF32(const float* src, int64_t count, DType dtype, void* dst);

}  // namespace peft

#endif  // PEFT_CC_BASE_DTYPE_H_
