// PyTorch's CPU random generator, number for number: adapters that PEFT draws,
// and file formats that store a seed, need the same numbers here.
#ifndef PEFT_CC_ALGEBRA_TORCH_GENERATOR_H_
#define PEFT_CC_ALGEBRA_TORCH_GENERATOR_H_

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "absl/types/span.h"

namespace peft {

// What `torch.manual_seed(seed)` or `torch.Generator().manual_seed(seed)`
// makes, of torch 2.13. Draws of f32 are bit-equal to torch's on x86-64
// processors with AVX2; on others torch itself gives normal numbers that differ
// in the last bit. bf16 and f16 tensors of PEFT are f32 draws that were
// rounded. Thread-compatible.
class TorchGenerator {
 public:
  // The engine takes the low 32 bits of the seed.
  explicit TorchGenerator(uint64_t seed);

  // The next 32 bits of the Mersenne Twister.
  uint32_t NextU32();
  // Two draws, the first one in the high half.
  uint64_t NextU64();

  // `tensor.uniform_(low, high)`: 24 random bits each. A draw that rounds to
  // `high` becomes `low`.
  void Uniform(float low, float high, absl::Span<float> out);

  // `tensor.normal_(mean, stddev)`, and `torch.randn` with 0 and 1. Torch has
  // one algorithm for 16 or more elements and another one for fewer; the
  // latter keeps every second number for its next call.
  void Normal(double mean, double stddev, absl::Span<float> out);

  // `torch.bernoulli` of an f32 tensor filled with `probability`: 1 or 0.
  void Bernoulli(float probability, absl::Span<float> out);

  // `torch.randperm(n)`, n >= 0.
  std::vector<int64_t> RandPerm(int64_t n);

 private:
  float NextUniform();
  double NextUniformDouble();
  double NextNormalDouble();
  std::vector<int64_t> LargeRandPerm(int64_t n);

  std::mt19937 engine_;
  std::optional<double> second_normal_;
};

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_TORCH_GENERATOR_H_
