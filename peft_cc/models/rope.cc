#include "peft_cc/models/rope.h"

#include <algorithm>
#include <cmath>

namespace peft {
namespace {

constexpr double kPi = 3.14159265358979323846;

// base^(2i / head_dim) for pair i, in f32 as torch computes it.
float Power(float base, size_t i, int64_t head_dim) {
  return std::pow(base,
                  static_cast<float>(2 * i) / static_cast<float>(head_dim));
}

// One over the power of each pair; allocates nothing.
void FillInversePowers(float base, int64_t head_dim, std::vector<float>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = 1.0f / Power(base, i, head_dim);
  }
}

std::vector<float> InversePowers(float base, int64_t head_dim) {
  std::vector<float> result(head_dim / 2);
  FillInversePowers(base, head_dim, result);
  return result;
}

std::vector<float> LinearFrequencies(const RopeConfig& config,
                                     int64_t head_dim) {
  std::vector<float> result =
      InversePowers(static_cast<float>(config.theta), head_dim);
  const float factor = static_cast<float>(config.factor);
  for (float& value : result) value /= factor;
  return result;
}

// Low frequencies are divided by the factor, high ones are kept, and those
// between are mixed. Torch evaluates `number / tensor` as the tensor's
// reciprocal times the number.
float Llama3Frequency(const RopeConfig& config, float frequency) {
  const float wavelength = 1.0f / frequency * static_cast<float>(2 * kPi);
  const double length = config.original_max_position;
  const float factor = static_cast<float>(config.factor);
  const float low_wavelength =
      static_cast<float>(length / config.low_freq_factor);
  const float high_wavelength =
      static_cast<float>(length / config.high_freq_factor);
  if (wavelength > low_wavelength) return frequency / factor;
  if (wavelength < high_wavelength) return frequency;
  const float smooth =
      (1.0f / wavelength * static_cast<float>(length) -
       static_cast<float>(config.low_freq_factor)) /
      static_cast<float>(config.high_freq_factor - config.low_freq_factor);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

std::vector<float> Llama3Frequencies(const RopeConfig& config,
                                     int64_t head_dim) {
  std::vector<float> result =
      InversePowers(static_cast<float>(config.theta), head_dim);
  for (float& value : result) value = Llama3Frequency(config, value);
  return result;
}

// The pair index at which a head makes `rotations` turns over the original
// context.
double YarnCorrectionDim(const RopeConfig& config, double rotations,
                         int64_t head_dim) {
  return static_cast<double>(head_dim) *
         std::log(config.original_max_position / (rotations * 2 * kPi)) /
         (2 * std::log(config.theta));
}

std::vector<float> YarnFrequencies(const RopeConfig& config, int64_t head_dim) {
  double low = YarnCorrectionDim(config, config.beta_fast, head_dim);
  double high = YarnCorrectionDim(config, config.beta_slow, head_dim);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;  // as transformers avoids 0 / 0
  std::vector<float> result(head_dim / 2);
  for (size_t i = 0; i < result.size(); ++i) {
    const float power = Power(static_cast<float>(config.theta), i, head_dim);
    const float ramp = std::min(
        1.0f, std::max(0.0f, (static_cast<float>(i) - static_cast<float>(low)) /
                                 static_cast<float>(high - low)));
    const float keep = 1.0f - ramp;
    const float interpolated =
        1.0f / (static_cast<float>(config.factor) * power);
    result[i] = interpolated * (1.0f - keep) + 1.0f / power * keep;
  }
  return result;
}

double YarnScale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

float YarnAttentionScaling(const RopeConfig& config) {
  if (config.attention_factor.has_value()) {
    return static_cast<float>(*config.attention_factor);
  }
  if (config.mscale != 0 && config.mscale_all_dim != 0) {
    return static_cast<float>(YarnScale(config.factor, config.mscale) /
                              YarnScale(config.factor, config.mscale_all_dim));
  }
  return static_cast<float>(YarnScale(config.factor, 1.0));
}

}  // namespace

RopeFrequencies::RopeFrequencies(const RopeConfig& config, int64_t head_dim,
                                 int64_t max_position)
    : config_(config),
      head_dim_(head_dim),
      max_position_(max_position),
      longest_(max_position) {
  switch (config.type) {
    case RopeType::kDefault:
    // At the trained length the base of kDynamic is theta itself:
    // factor * 1 - (factor - 1) = 1.
    case RopeType::kDynamic:
      original_ = InversePowers(static_cast<float>(config.theta), head_dim);
      break;
    case RopeType::kLinear:
      original_ = LinearFrequencies(config, head_dim);
      break;
    case RopeType::kLlama3:
      original_ = Llama3Frequencies(config, head_dim);
      break;
    case RopeType::kYarn:
      original_ = YarnFrequencies(config, head_dim);
      attention_scaling_ = YarnAttentionScaling(config);
      break;
  }
  inverse_ = original_;
}

bool RopeFrequencies::IsFinite() const {
  return std::isfinite(attention_scaling_) &&
         std::all_of(original_.begin(), original_.end(),
                     [](float value) { return std::isfinite(value); });
}

void RopeFrequencies::Update(int64_t num_positions) {
  if (config_.type != RopeType::kDynamic) return;
  if (num_positions > longest_) {
    // In f32: transformers computes with a tensor of the length here.
    const float factor = static_cast<float>(config_.factor);
    const float growth = factor * static_cast<float>(num_positions) /
                             static_cast<float>(max_position_) -
                         static_cast<float>(config_.factor - 1.0);
    const double dim = static_cast<double>(head_dim_);
    const float base = static_cast<float>(config_.theta) *
                       std::pow(growth, static_cast<float>(dim / (dim - 2)));
    FillInversePowers(base, head_dim_, inverse_);
    longest_ = num_positions;
  }
  // A shorter sequence than the trained length gets the original frequencies
  // back; one between the two keeps those of the longest so far.
  if (num_positions < max_position_ && longest_ > max_position_) Reset();
}

void RopeFrequencies::Reset() {
  std::copy(original_.begin(), original_.end(), inverse_.begin());
  longest_ = max_position_;
}

void FillRopeTables(const RopeFrequencies& frequencies,
                    absl::Span<const int64_t> positions,
                    const kernels::Rows& cos_table,
                    const kernels::Rows& sin_table) {
  const absl::Span<const float> inverse = frequencies.inverse();
  const float scaling = frequencies.attention_scaling();
  for (size_t row = 0; row < positions.size(); ++row) {
    const float position = static_cast<float>(positions[row]);
    float* cos_row = cos_table.data + row * cos_table.stride;
    float* sin_row = sin_table.data + row * sin_table.stride;
    for (size_t i = 0; i < inverse.size(); ++i) {
      const float angle = position * inverse[i];
      cos_row[i] = std::cos(angle) * scaling;
      sin_row[i] = std::sin(angle) * scaling;
    }
  }
}

}  // namespace peft
