#include "peft_cc/algebra/torch_generator.h"

#include <cmath>
#include <numeric>
#include <utility>

#include "peft_cc/algebra/box_muller.h"

namespace peft {
namespace {

// Torch's modulo is biased by less than 1/20 below this size; above it draws
// 64 bits.
constexpr int64_t kLargePermutation = 0xffffffffu / 20;

constexpr double kPi = 3.14159265358979323846;

}  // namespace

TorchGenerator::TorchGenerator(uint64_t seed)
    : engine_(static_cast<uint32_t>(seed)) {}

uint32_t TorchGenerator::NextU32() { return engine_(); }

uint64_t TorchGenerator::NextU64() {
  const uint64_t high = engine_();
  return high << 32 | engine_();
}

float TorchGenerator::NextUniform() {
  return static_cast<float>(NextU32() & 0xffffff) * 0x1p-24f;
}

double TorchGenerator::NextUniformDouble() {
  return static_cast<double>(NextU64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void TorchGenerator::Uniform(float low, float high, absl::Span<float> out) {
  // Torch rounds the width to f32, and the rest once.
  const double width = high - low;
  for (float& value : out) {
    value = static_cast<float>(NextUniform() * width + low);
    if (value == high) value = low;
  }
}

void TorchGenerator::Normal(double mean, double stddev, absl::Span<float> out) {
  if (out.size() < kBoxMullerBlock) {
    for (float& value : out) {
      value = static_cast<float>(NextNormalDouble() * stddev + mean);
    }
    return;
  }
  Uniform(0, 1, out);
  const float mean_f32 = static_cast<float>(mean);
  const float stddev_f32 = static_cast<float>(stddev);
  for (size_t i = 0; i + kBoxMullerBlock <= out.size(); i += kBoxMullerBlock) {
    BoxMuller(mean_f32, stddev_f32, &out[i]);
  }
  if (out.size() % kBoxMullerBlock == 0) return;
  // The rest is not padded: the last 16 elements are drawn once more.
  const absl::Span<float> last = out.last(kBoxMullerBlock);
  Uniform(0, 1, last);
  BoxMuller(mean_f32, stddev_f32, last.data());
}

double TorchGenerator::NextNormalDouble() {
  if (second_normal_.has_value()) {
    return *std::exchange(second_normal_, std::nullopt);
  }
  const double u1 = NextUniformDouble();
  const double u2 = NextUniformDouble();
  const double radius = std::sqrt(-2 * std::log1p(-u2));
  const double theta = 2 * kPi * u1;
  second_normal_ = radius * std::sin(theta);
  return radius * std::cos(theta);
}

void TorchGenerator::Bernoulli(float probability, absl::Span<float> out) {
  for (float& value : out) value = NextUniform() < probability ? 1 : 0;
}

std::vector<int64_t> TorchGenerator::RandPerm(int64_t n) {
  if (n >= kLargePermutation) return LargeRandPerm(n);
  std::vector<int64_t> result(n);
  std::iota(result.begin(), result.end(), 0);
  for (int64_t i = 0; i + 1 < n; ++i) {
    std::swap(result[i], result[i + NextU32() % (n - i)]);
  }
  return result;
}

std::vector<int64_t> TorchGenerator::LargeRandPerm(int64_t n) {
  std::vector<int64_t> result(n);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t j = static_cast<int64_t>(NextU64() % (i + 1));
    result[i] = result[j];
    result[j] = i;
  }
  return result;
}

}  // namespace peft
