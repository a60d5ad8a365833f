#include "peft_cc/algebra/torch_init.h"

#include <cmath>

namespace peft {
namespace {

void UniformWithin(TorchGenerator& generator, double bound,
                   absl::Span<float> out) {
  generator.Uniform(static_cast<float>(-bound), static_cast<float>(bound), out);
}

}  // namespace

void KaimingUniform(TorchGenerator& generator, double a, int64_t fan_in,
                    absl::Span<float> weight) {
  if (weight.empty()) return;
  // In torch's order of operations: the bound is rounded at each.
  const double gain = std::sqrt(2.0 / (1 + a * a));
  const double stddev = gain / std::sqrt(static_cast<double>(fan_in));
  UniformWithin(generator, std::sqrt(3.0) * stddev, weight);
}

void DefaultWeight(TorchGenerator& generator, int64_t fan_in,
                   absl::Span<float> weight) {
  KaimingUniform(generator, std::sqrt(5.0), fan_in, weight);
}

void DefaultBias(TorchGenerator& generator, int64_t fan_in,
                 absl::Span<float> bias) {
  if (fan_in == 0) return;
  UniformWithin(generator, 1 / std::sqrt(static_cast<double>(fan_in)), bias);
}

}  // namespace peft
