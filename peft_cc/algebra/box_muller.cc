#include "peft_cc/algebra/box_muller.h"

#include <cmath>
#include <cstdint>

namespace peft {
namespace {

constexpr float kTwoPi = 6.28318530717958647692f;

// Coefficients of the Cephes library's minimax polynomials, highest power
// first; torch's vector code has the same.
constexpr float kLog[] = {
    7.0376836292E-2f,  -1.1514610310E-1f, 1.1676998740E-1f,
    -1.2420140846E-1f, 1.4249322787E-1f,  -1.6668057665E-1f,
    2.0000714765E-1f,  -2.4999993993E-1f, 3.3333331174E-1f};
constexpr float kSin[] = {-1.9515295891E-4f, 8.3321608736E-3f,
                          -1.6666654611E-1f};
constexpr float kCos[] = {2.443315711809948E-5f, -1.388731625493765E-3f,
                          4.166664568298827E-2f};

// By Horner's rule with fused multiply-adds.
template <int kCount>
float Polynomial(const float (&coefficients)[kCount], float x) {
  float y = coefficients[0];
  for (int i = 1; i < kCount; ++i) y = std::fma(y, x, coefficients[i]);
  return y;
}

// ln x for 0 < x <= 1, neither subnormal.
float Log(float x) {
  int exponent;
  x = std::frexp(x, &exponent);  // in [0.5, 1)
  if (x < 0.707106781186547524f) {
    --exponent;
    x += x;
  }
  x -= 1;
  const float e = static_cast<float>(exponent);
  const float z = x * x;
  // ln 2 is split in two, so that e times its upper part is exact.
  float y = std::fma(Polynomial(kLog, x) * x, z, e * -2.12194440e-4f);
  y -= z * 0.5f;
  return std::fma(e, 0.693359375f, x + y);
}

struct SinCos {
  float sin;
  float cos;
};

// Of 0 <= x <= 2 pi.
SinCos GetSinCos(float x) {
  // The octant, rounded up to an even one: x is then within pi / 4 of
  // octant * pi / 4, which is subtracted in three parts.
  const uint32_t octant =
      (static_cast<uint32_t>(x * 1.27323954473516f) + 1) & ~uint32_t{1};
  const float y = static_cast<float>(octant);
  x = std::fma(y, -0.78515625f, x);
  x = std::fma(y, -2.4187564849853515625e-4f, x);
  x = std::fma(y, -3.77489497744594108e-8f, x);
  const float z = x * x;
  const float sine = std::fma(Polynomial(kSin, z) * z, x, x);
  const float cosine = std::fma(Polynomial(kCos, z) * z, z, -(z * 0.5f)) + 1;
  switch (octant & 7) {
    case 0:
      return {sine, cosine};
    case 2:
      return {cosine, -sine};
    case 4:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace

void BoxMuller(float mean, float stddev, float* data) {
  for (size_t j = 0; j < kBoxMullerBlock / 2; ++j) {
    float& first = data[j];
    float& second = data[j + kBoxMullerBlock / 2];
    const float radius = std::sqrt(-2 * Log(1 - first));
    const SinCos angle = GetSinCos(kTwoPi * second);
    first = std::fma(radius * angle.cos, stddev, mean);
    second = std::fma(radius * angle.sin, stddev, mean);
  }
}

}  // namespace peft
