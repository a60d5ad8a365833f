#include "peft_cc/base/dtype.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace peft {
namespace {

struct DTypeInfo {
  DType dtype;
  const char* name;
  int bits;
};

// Names as in the safetensors format.
constexpr DTypeInfo kDTypes[] = {
    {DType::kBool, "BOOL", 8},
    {DType::kU8, "U8", 8},
    {DType::kI8, "I8", 8},
    {DType::kU16, "U16", 16},
    {DType::kI16, "I16", 16},
    {DType::kU32, "U32", 32},
    {DType::kI32, "I32", 32},
    {DType::kU64, "U64", 64},
    {DType::kI64, "I64", 64},
    {DType::kF16, "F16", 16},
    {DType::kBF16, "BF16", 16},
    {DType::kF32, "F32", 32},
    {DType::kF64, "F64", 64},
    {DType::kF8E4M3, "F8_E4M3", 8},
    {DType::kF8E5M2, "F8_E5M2", 8},
    {DType::kC64, "C64", 64},
    {DType::kF8E8M0, "F8_E8M0", 8},
    {DType::kF8E4M3FNUZ, "F8_E4M3FNUZ", 8},
    {DType::kF8E5M2FNUZ, "F8_E5M2FNUZ", 8},
    {DType::kF4, "F4", 4},
    {DType::kF6E2M3, "F6_E2M3", 6},
    {DType::kF6E3M2, "F6_E3M2", 6},
    {DType::kTable4, "4-bit codes", 4},
    {DType::kQ4, "Q4", 4},
    {DType::kQ8, "Q8", 8},
};

const DTypeInfo* FindDType(DType dtype) {
  for (const DTypeInfo& info : kDTypes) {
    if (info.dtype == dtype) return &info;
  }
  return nullptr;
}

uint32_t FloatBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float BitsToFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// The conversions below have no branches that depend on the value, so that the
// loops over them vectorise.

inline uint16_t RoundToBF16(float value) {
  const uint32_t bits = FloatBits(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  // Rounding a NaN could carry into infinity: keep its top bits, made quiet.
  const uint32_t quiet_nan = (bits >> 16) | 0x40;
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>(is_nan ? quiet_nan : rounded);
}

inline float WidenF16(uint16_t value) {
  const uint32_t magnitude = value & 0x7fff;
  const uint32_t sign = static_cast<uint32_t>(value & 0x8000) << 16;
  // Moves the exponent's bias from 15 to 127; infinity and NaN go to the top.
  const uint32_t rebias = magnitude >= 0x7c00 ? 0x70000000 : 0x38000000;
  const uint32_t normal = (magnitude << 13) + rebias;
  // Subnormals are multiples of 2^-24, exact in f32.
  const float tiny = static_cast<float>(static_cast<int32_t>(magnitude)) *
                     (1.0f / 16777216.0f);
  const uint32_t bits = magnitude < 0x400 ? FloatBits(tiny) : normal;
  return BitsToFloat(bits | sign);
}

inline uint16_t RoundToF16(float value) {
  const uint32_t bits = FloatBits(value);
  const uint32_t magnitude = bits & 0x7fffffff;
  // Adding 0.5 lines the mantissa up with multiples of 2^-24, and the
  // processor's own rounding (nearest even) does the work for subnormals.
  const uint32_t subnormal =
      FloatBits(BitsToFloat(magnitude) + 0.5f) - FloatBits(0.5f);
  const uint32_t normal =
      (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  const uint32_t finite = magnitude < 0x38800000 ? subnormal : normal;
  const uint32_t half = magnitude >= 0x47800000 ? special : finite;
  return static_cast<uint16_t>(half | ((bits >> 16) & 0x8000));
}

// How an 8-bit float encodes its values.
struct Float8Layout {
  int mantissa_bits;
  int bias;
  bool has_infinity;          // the top exponent is infinity and NaN
  bool negative_zero_is_nan;  // the FNUZ kinds: 0x80 is the only NaN
};

constexpr Float8Layout kE4M3 = {3, 7, false, false};
constexpr Float8Layout kE5M2 = {2, 15, true, false};
constexpr Float8Layout kE4M3FNUZ = {3, 8, false, true};
constexpr Float8Layout kE5M2FNUZ = {2, 16, false, true};

float DecodeFloat8(const Float8Layout& layout, int code) {
  const int magnitude = code & 0x7f;
  const float sign = (code & 0x80) ? -1.0f : 1.0f;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  if (layout.negative_zero_is_nan) {
    if (code == 0x80) return nan;
  } else if (layout.has_infinity) {
    if (magnitude == 0x7c) return sign * HUGE_VALF;
    if (magnitude > 0x7c) return nan;
  } else if (magnitude == 0x7f) {
    return nan;
  }
  const int exponent = magnitude >> layout.mantissa_bits;
  const int one = 1 << layout.mantissa_bits;
  const int mantissa = magnitude & (one - 1);
  const int shift =
      (exponent == 0 ? 1 : exponent) - layout.bias - layout.mantissa_bits;
  return sign * std::ldexp(static_cast<float>(exponent == 0 ? mantissa
                                                            : mantissa + one),
                           shift);
}

using Float8Table = std::array<float, 256>;

Float8Table MakeFloat8Table(const Float8Layout& layout) {
  Float8Table table;
  for (int code = 0; code < 256; ++code) {
    table[code] = DecodeFloat8(layout, code);
  }
  return table;
}

// Powers of two from 2^-127 to 2^127, without sign; 255 is NaN.
Float8Table MakeE8M0Table() {
  Float8Table table;
  for (int code = 0; code < 255; ++code) {
    table[code] = std::ldexp(1.0f, code - 127);
  }
  table[255] = std::numeric_limits<float>::quiet_NaN();
  return table;
}

const Float8Table* FindFloat8Table(DType dtype) {
  static const Float8Table e4m3 = MakeFloat8Table(kE4M3);
  static const Float8Table e5m2 = MakeFloat8Table(kE5M2);
  static const Float8Table e4m3fnuz = MakeFloat8Table(kE4M3FNUZ);
  static const Float8Table e5m2fnuz = MakeFloat8Table(kE5M2FNUZ);
  static const Float8Table e8m0 = MakeE8M0Table();
  switch (dtype) {
    case DType::kF8E4M3:
      return &e4m3;
    case DType::kF8E5M2:
      return &e5m2;
    case DType::kF8E4M3FNUZ:
      return &e4m3fnuz;
    case DType::kF8E5M2FNUZ:
      return &e5m2fnuz;
    case DType::kF8E8M0:
      return &e8m0;
    default:
      return nullptr;
  }
}

// Reads elements of type From with memcpy, which allows any alignment.
template <typename From, typename Convert>
void ConvertLoop(const void* src, int64_t count, float* dst,
                 const Convert& convert) {
  const uint8_t* bytes = static_cast<const uint8_t*>(src);
  for (int64_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, bytes + i * sizeof(From), sizeof(From));
    dst[i] = convert(value);
  }
}

template <typename From>
bool CastLoop(const void* src, int64_t count, float* dst) {
  ConvertLoop<From>(src, count, dst,
                    [](From value) { return static_cast<float>(value); });
  return true;
}

template <typename Convert>
void NarrowLoop(const float* src, int64_t count, void* dst,
                const Convert& convert) {
  uint8_t* bytes = static_cast<uint8_t*>(dst);
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t value = convert(src[i]);
    std::memcpy(bytes + i * sizeof(value), &value, sizeof(value));
  }
}

bool ConvertFloat8(DType dtype, const void* src, int64_t count, float* dst) {
  const Float8Table* table = FindFloat8Table(dtype);
  if (table == nullptr) return false;
  ConvertLoop<uint8_t>(src, count, dst,
                       [table](uint8_t value) { return (*table)[value]; });
  return true;
}

void CopyF32(const void* src, int64_t count, void* dst) {
  // memcpy must not see a null pointer, even for nothing.
  if (count > 0) std::memcpy(dst, src, count * sizeof(float));
}

}  // namespace

int DTypeBits(DType dtype) {
  const DTypeInfo* info = FindDType(dtype);
  return info == nullptr ? 0 : info->bits;
}

absl::string_view DTypeName(DType dtype) {
  const DTypeInfo* info = FindDType(dtype);
  return info == nullptr ? "UNSPECIFIED" : info->name;
}

std::optional<DType> DTypeFromName(absl::string_view name) {
  for (const DTypeInfo& info : kDTypes) {
    if (name == info.name) return info.dtype;
  }
  return std::nullopt;
}

bool IsComputeDType(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32;
}

uint16_t F32ToBF16(float value) { return RoundToBF16(value); }

float F16ToF32(uint16_t value) { return WidenF16(value); }

uint16_t F32ToF16(float value) { return RoundToF16(value); }

bool ConvertToF32(DType dtype, const void* src, int64_t count, float* dst) {
  switch (dtype) {
    case DType::kF32:
      CopyF32(src, count, dst);
      return true;
    case DType::kF16:
      ConvertLoop<uint16_t>(src, count, dst, WidenF16);
      return true;
    case DType::kBF16:
      ConvertLoop<uint16_t>(src, count, dst, BF16ToF32);
      return true;
    case DType::kBool:
      ConvertLoop<uint8_t>(src, count, dst,
                           [](uint8_t value) { return value ? 1.0f : 0.0f; });
      return true;
    case DType::kU8:
      return CastLoop<uint8_t>(src, count, dst);
    case DType::kI8:
      return CastLoop<int8_t>(src, count, dst);
    case DType::kU16:
      return CastLoop<uint16_t>(src, count, dst);
    case DType::kI16:
      return CastLoop<int16_t>(src, count, dst);
    case DType::kU32:
      return CastLoop<uint32_t>(src, count, dst);
    case DType::kI32:
      return CastLoop<int32_t>(src, count, dst);
    case DType::kU64:
      return CastLoop<uint64_t>(src, count, dst);
    case DType::kI64:
      return CastLoop<int64_t>(src, count, dst);
    case DType::kF64:
      return CastLoop<double>(src, count, dst);
    default:
      return ConvertFloat8(dtype, src, count, dst);
  }
}

bool ConvertFromF32(const float* src, int64_t count, DType dtype, void* dst) {
  switch (dtype) {
    case DType::kF32:
      CopyF32(src, count, dst);
      return true;
    case DType::kF16:
      NarrowLoop(src, count, dst, RoundToF16);
      return true;
    case DType::kBF16:
      NarrowLoop(src, count, dst, RoundToBF16);
      return true;
    default:
      return false;
  }
}

}  // namespace peft
