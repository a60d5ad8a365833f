// How tensors of several adapters become one. Source: peft 0.21.2,
// utils/merge_utils.py; the arithmetic is f32 in the same order.
#ifndef PEFT_CC_ALGEBRA_MERGE_OPERATORS_H_
#define PEFT_CC_ALGEBRA_MERGE_OPERATORS_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/algebra/torch_generator.h"

namespace peft {

// For tensors T_i with weights w_i. Pruning keeps a share `density` of the
// elements; from 1 on it keeps all.
//
// By magnitude: the int(density * n) elements of largest |T|. At random: each
// element with probability `density`, divided by it.
//
// The majority sign of an element is that of the sum over i, which is
// unweighted and counts as positive where it is 0; the disjoint mean is
// sum_i(w_i T_i m_i) / max(sum_i(m_i), 1), where m_i is 1 where T_i is not 0
// and has the majority sign, else 0.
enum class MergeOperator {
  kTaskArithmetic,  // sum_i(w_i T_i)
  kMagnitudePrune,  // pruned by magnitude, then the weighted sum
  kTies,            // pruned by magnitude, then the disjoint mean
  kDareLinear,      // pruned at random, then the weighted sum
  kDareTies,        // pruned at random, then the disjoint mean
};

// Whose sign the majority sign is.
enum class MajoritySignMethod {
  kTotal,      // of sum_i(T_i)
  kFrequency,  // of sum_i(sign T_i)
};

struct MergeOptions {
  MergeOperator op = MergeOperator::kTaskArithmetic;
  // Needed by all but kTaskArithmetic; at least 0, and above 0 at random.
  std::optional<double> density;
  MajoritySignMethod majority_sign_method = MajoritySignMethod::kTotal;
};

// INVALID_ARGUMENT (ARGUMENT) for a density that is missing or out of range.
// PEFT fails in the middle of its work, or, with density 0 at random, makes
// NaN.
absl::Status CheckMergeOptions(const MergeOptions& options);

// One tensor of as many elements as each of `tensors`, of which there is at
// least one. The operators that prune at random draw an element of the
// generator's per element, tensor after tensor, as `torch.bernoulli` does;
// the others draw nothing. Fails as CheckMergeOptions, and with
// INVALID_ARGUMENT (ARGUMENT) where numbers of elements or of weights differ.
absl::StatusOr<std::vector<float>> MergeElements(
    const MergeOptions& options, std::vector<std::vector<float>> tensors,
    absl::Span<const float> weights, TorchGenerator& generator);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_MERGE_OPERATORS_H_
