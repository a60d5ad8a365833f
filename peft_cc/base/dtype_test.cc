#include "peft_cc/base/dtype.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// The value of a small float, computed the slow way.
double DecodeReference(int code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const double sign = (code >> (exponent_bits + mantissa_bits)) ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? kNaN : sign * kInf;
  }
  const int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  return sign * std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits);
}

// `value` rounded to a float with these parameters, computed the slow way.
double RoundReference(float value, int exponent_bits, int mantissa_bits) {
  if (std::isnan(value) || std::isinf(value) || value == 0) return value;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = std::max(std::ilogb(value), 1 - bias);
  const double quantum = std::ldexp(1.0, exponent - mantissa_bits);
  const double rounded = std::nearbyint(value / quantum) * quantum;
  const double max = std::ldexp(2.0 - std::ldexp(1.0, -mantissa_bits), bias);
  return std::fabs(rounded) > max ? std::copysign(kInf, value) : rounded;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

void ExpectSame(double expected, double found, const std::string& what) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found)) << what;
  } else {
    EXPECT_EQ(expected, found) << what;
    EXPECT_EQ(std::signbit(expected), std::signbit(found)) << what;
  }
}

// Random bit patterns, and for each f16 and bf16 value the exact halfway
// points to its neighbours, where ties are decided.
std::vector<float> RoundingCases() {
  std::vector<float> cases = {0.0f, -0.0f,    kInf,     -kInf,
                              kNaN, 65519.0f, 65520.0f, FromBits(0x7f7fffff)};
  std::mt19937 random(7);
  for (int i = 0; i < 200000; ++i) cases.push_back(FromBits(random()));
  for (uint32_t code = 0; code < 0x10000; ++code) {
    cases.push_back(FromBits((code << 16) | 0x8000));
    cases.push_back(FromBits((code << 16) | 0x7fff));
    cases.push_back(FromBits((code << 16) | 0x8001));
    const double half = DecodeReference(code, 5, 10);
    const double next = DecodeReference((code + 1) & 0xffff, 5, 10);
    cases.push_back(static_cast<float>((half + next) / 2));
  }
  return cases;
}

TEST(DType, NamesRoundTrip) {
  for (int i = 1; i <= 22; ++i) {
    const DType dtype = static_cast<DType>(i);
    EXPECT_EQ(DTypeFromName(DTypeName(dtype)), dtype);
    EXPECT_GT(DTypeBits(dtype), 0);
  }
}

TEST(DType, UnknownNamesAreRefused) {
  for (const char* name : {"", "f32", "F32 ", "F128", "UNSPECIFIED"}) {
    EXPECT_EQ(DTypeFromName(name), std::nullopt) << name;
  }
  EXPECT_EQ(DTypeName(static_cast<DType>(23)), "UNSPECIFIED");
}

TEST(DType, SizesFollowBits) {
  EXPECT_EQ(DTypeBits(DType::kF4), 4);
  EXPECT_EQ(DTypeSize(DType::kF4), 0);
  EXPECT_EQ(DTypeSize(DType::kF6E2M3), 0);
  EXPECT_EQ(DTypeSize(DType::kC64), 8);
  EXPECT_EQ(DTypeSize(DType::kBF16), 2);
  EXPECT_EQ(DTypeSize(DType::kUnspecified), 0);
}

TEST(DType, EveryF16WidensExactly) {
  for (int code = 0; code < 0x10000; ++code) {
    ExpectSame(DecodeReference(code, 5, 10), F16ToF32(code),
               "f16 code " + std::to_string(code));
  }
}

TEST(DType, EveryBF16WidensExactly) {
  for (int code = 0; code < 0x10000; ++code) {
    ExpectSame(DecodeReference(code, 8, 7), BF16ToF32(code),
               "bf16 code " + std::to_string(code));
  }
}

TEST(DType, F16RoundsToNearestEven) {
  for (float value : RoundingCases()) {
    ExpectSame(RoundReference(value, 5, 10), F16ToF32(F32ToF16(value)),
               "value " + std::to_string(value));
  }
}

TEST(DType, BF16RoundsToNearestEven) {
  for (float value : RoundingCases()) {
    ExpectSame(RoundReference(value, 8, 7), BF16ToF32(F32ToBF16(value)),
               "value " + std::to_string(value));
  }
}

TEST(DType, SignallingNaNStaysNaN) {
  EXPECT_TRUE(std::isnan(BF16ToF32(F32ToBF16(FromBits(0x7f800001)))));
  EXPECT_TRUE(std::isnan(F16ToF32(F32ToF16(FromBits(0xff800001)))));
}

float DecodeFloat8(DType dtype, uint8_t code) {
  float value = -1;
  EXPECT_TRUE(ConvertToF32(dtype, &code, 1, &value));
  return value;
}

TEST(DType, F8E4M3HasNoInfinity) {
  EXPECT_EQ(DecodeFloat8(DType::kF8E4M3, 0x7e), 448.0f);
  EXPECT_EQ(DecodeFloat8(DType::kF8E4M3, 0x81), -std::ldexp(1.0f, -9));
  EXPECT_EQ(DecodeFloat8(DType::kF8E4M3, 0x38), 1.0f);
  EXPECT_TRUE(std::isnan(DecodeFloat8(DType::kF8E4M3, 0x7f)));
  EXPECT_TRUE(std::isnan(DecodeFloat8(DType::kF8E4M3, 0xff)));
}

TEST(DType, F8E5M2IsATruncatedF16) {
  for (int code = 0; code < 256; ++code) {
    ExpectSame(F16ToF32(code << 8), DecodeFloat8(DType::kF8E5M2, code),
               "code " + std::to_string(code));
  }
}

TEST(DType, FnuzKindsHaveOneNaNAndNoNegativeZero) {
  EXPECT_TRUE(std::isnan(DecodeFloat8(DType::kF8E4M3FNUZ, 0x80)));
  EXPECT_TRUE(std::isnan(DecodeFloat8(DType::kF8E5M2FNUZ, 0x80)));
  EXPECT_EQ(DecodeFloat8(DType::kF8E4M3FNUZ, 0xff), -240.0f);
  EXPECT_EQ(DecodeFloat8(DType::kF8E4M3FNUZ, 0x01), std::ldexp(1.0f, -10));
  EXPECT_EQ(DecodeFloat8(DType::kF8E5M2FNUZ, 0x7f), 57344.0f);
  EXPECT_EQ(DecodeFloat8(DType::kF8E5M2FNUZ, 0x01), std::ldexp(1.0f, -17));
}

TEST(DType, F8E8M0IsAPowerOfTwo) {
  EXPECT_EQ(DecodeFloat8(DType::kF8E8M0, 127), 1.0f);
  EXPECT_EQ(DecodeFloat8(DType::kF8E8M0, 0), std::ldexp(1.0f, -127));
  EXPECT_EQ(DecodeFloat8(DType::kF8E8M0, 254), std::ldexp(1.0f, 127));
  EXPECT_TRUE(std::isnan(DecodeFloat8(DType::kF8E8M0, 255)));
}

// Converts one element that lies at an odd address.
template <typename T>
float ConvertOne(DType dtype, T value) {
  uint8_t bytes[sizeof(T) + 1];
  std::memcpy(bytes + 1, &value, sizeof(T));
  float result = -1;
  EXPECT_TRUE(ConvertToF32(dtype, bytes + 1, 1, &result));
  return result;
}

TEST(DType, IntegersConvert) {
  EXPECT_EQ(ConvertOne<uint8_t>(DType::kBool, 2), 1.0f);
  EXPECT_EQ(ConvertOne<uint8_t>(DType::kU8, 200), 200.0f);
  EXPECT_EQ(ConvertOne<int8_t>(DType::kI8, -100), -100.0f);
  EXPECT_EQ(ConvertOne<uint16_t>(DType::kU16, 65535), 65535.0f);
  EXPECT_EQ(ConvertOne<int16_t>(DType::kI16, -32768), -32768.0f);
  EXPECT_EQ(ConvertOne<uint32_t>(DType::kU32, 1u << 31), 2147483648.0f);
  EXPECT_EQ(ConvertOne<int32_t>(DType::kI32, -7), -7.0f);
  EXPECT_EQ(ConvertOne<uint64_t>(DType::kU64, 1ull << 63), 0x1p63f);
  EXPECT_EQ(ConvertOne<int64_t>(DType::kI64, -9), -9.0f);
  EXPECT_EQ(ConvertOne<double>(DType::kF64, 0.1), 0.1f);
  EXPECT_EQ(ConvertOne<float>(DType::kF32, 0.25f), 0.25f);
}

TEST(DType, DTypesWithoutConversionAreRefused) {
  float out = 0;
  for (DType dtype : {DType::kUnspecified, DType::kC64, DType::kF4,
                      DType::kF6E2M3, DType::kF6E3M2}) {
    EXPECT_FALSE(ConvertToF32(dtype, &out, 1, &out));
  }
  EXPECT_FALSE(ConvertFromF32(&out, 1, DType::kF64, &out));
}

TEST(DType, ArraysConvertLikeSingleValues) {
  const std::vector<float> values = RoundingCases();
  const int64_t count = static_cast<int64_t>(values.size());
  std::vector<uint8_t> bytes(2 * count + 1);
  ASSERT_TRUE(
      ConvertFromF32(values.data(), count, DType::kF16, bytes.data() + 1));
  std::vector<float> back(count);
  ASSERT_TRUE(ConvertToF32(DType::kF16, bytes.data() + 1, count, back.data()));
  for (int64_t i = 0; i < count; ++i) {
    ExpectSame(F16ToF32(F32ToF16(values[i])), back[i], "f16");
  }
  ASSERT_TRUE(
      ConvertFromF32(values.data(), count, DType::kBF16, bytes.data() + 1));
  ASSERT_TRUE(ConvertToF32(DType::kBF16, bytes.data() + 1, count, back.data()));
  for (int64_t i = 0; i < count; ++i) {
    ExpectSame(BF16ToF32(F32ToBF16(values[i])), back[i], "bf16");
  }
}

TEST(DType, NothingConvertsToNothing) {
  EXPECT_TRUE(ConvertToF32(DType::kF32, nullptr, 0, nullptr));
  EXPECT_TRUE(ConvertFromF32(nullptr, 0, DType::kF32, nullptr));
}

}  // namespace
}  // namespace peft
