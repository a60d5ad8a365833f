// The names of PEFT's ways to combine LoRA adapters, and the rank that results.
#ifndef PEFT_CC_ALGEBRA_COMBINATION_TYPE_H_
#define PEFT_CC_ALGEBRA_COMBINATION_TYPE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/algebra/merge_operators.h"

namespace peft {

// PEFT's combination types, by their names. With c_i = weight_i * scale_i:
//
// kLinear, kTies, kDareLinear, kDareTies, kMagnitudePrune: the operator of
// merge_operators.h on the A_i with weights sign(c_i) sqrt|c_i|, and on the B_i
// with weights sqrt|c_i|. B A then has cross terms B_i A_j: not the sum of the
// adapters, except for one.
//
// kCat: A = the rows c_i A_i, B = the columns B_i: the exact sum.
//
// kSvd, kTiesSvd, kDareLinearSvd, kDareTiesSvd, kMagnitudePruneSvd: the
// operator on the full scale_i B_i A_i with weights weight_i, whose `rank`
// largest singular values become A = V^T, B = U S.
enum class CombinationType {
  kLinear,
  kCat,
  kSvd,
  kTies,
  kDareLinear,
  kDareTies,
  kMagnitudePrune,
  kTiesSvd,
  kDareLinearSvd,
  kDareTiesSvd,
  kMagnitudePruneSvd,
};

// The type of PEFT's name ("svd", "dare_ties_svd" ...). INVALID_ARGUMENT
// (ARGUMENT) for another name; the message lists them.
absl::StatusOr<CombinationType> ParseCombinationType(absl::string_view name);

// "total" or "frequency"; INVALID_ARGUMENT (ARGUMENT) for another name.
absl::StatusOr<MajoritySignMethod> ParseMajoritySignMethod(
    absl::string_view name);

// True for the types that draw from the generator.
bool IsRandomCombination(CombinationType type);

// The rank of the new adapter, from those of the sources (each the largest one
// of its rank_pattern): theirs, which must be equal, for the types on factors;
// their sum for kCat; `svd_rank` or the largest one for the types with a
// decomposition. INVALID_ARGUMENT (ADAPTER_NOT_COMBINABLE) for ranks that
// differ, (ARGUMENT) for no sources and for a rank that is not above 0. PEFT
// treats one source as kLinear, whatever the type: the caller's affair.
absl::StatusOr<int64_t> CombinedRank(CombinationType type,
                                     absl::Span<const int64_t> ranks,
                                     std::optional<int64_t> svd_rank);

// What a type works on.
enum class CombinationTarget {
  kFactors,        // A and B, each by itself
  kConcatenation,  // A and B, stacked
  kDelta,          // scale * B A, decomposed afterwards
};
CombinationTarget GetCombinationTarget(CombinationType type);

// What a type does to its targets; kTaskArithmetic for kCat.
MergeOperator GetMergeOperator(CombinationType type);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_COMBINATION_TYPE_H_
