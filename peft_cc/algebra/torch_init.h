// The initialisers of torch.nn that PEFT's layers go through.
#ifndef PEFT_CC_ALGEBRA_TORCH_INIT_H_
#define PEFT_CC_ALGEBRA_TORCH_INIT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "peft_cc/algebra/torch_generator.h"

namespace peft {

// `nn.init.kaiming_uniform_(weight, a=a)`: uniform in [-b, b) with
// b = sqrt(3) sqrt(2 / (1 + a^2)) / sqrt(fan_in). `fan_in` is the number of
// elements of weight[0]. Draws nothing for a weight without elements.
void KaimingUniform(TorchGenerator& generator, double a, int64_t fan_in,
                    absl::Span<float> weight);

// The default weight of nn.Linear and nn.Conv*: kaiming_uniform_ with a =
// sqrt(5), which is uniform in +-1 / sqrt(fan_in). nn.Embedding's default is
// generator.Normal(0, 1, weight).
void DefaultWeight(TorchGenerator& generator, int64_t fan_in,
                   absl::Span<float> weight);

// The default bias of nn.Linear and nn.Conv*, drawn after the weight: uniform
// in +-1 / sqrt(fan_in). Nothing where fan_in is 0.
void DefaultBias(TorchGenerator& generator, int64_t fan_in,
                 absl::Span<float> bias);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_TORCH_INIT_H_
