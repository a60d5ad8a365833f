#include "peft_cc/algebra/combination_type.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

struct TypeInfo {
  absl::string_view name;
  CombinationTarget target;
  MergeOperator op;
};

constexpr auto kFactors = CombinationTarget::kFactors;
constexpr auto kDelta = CombinationTarget::kDelta;

// In the order of CombinationType.
constexpr TypeInfo kTypes[] = {
    {"linear", kFactors, MergeOperator::kTaskArithmetic},
    {"cat", CombinationTarget::kConcatenation, MergeOperator::kTaskArithmetic},
    {"svd", kDelta, MergeOperator::kTaskArithmetic},
    {"ties", kFactors, MergeOperator::kTies},
    {"dare_linear", kFactors, MergeOperator::kDareLinear},
    {"dare_ties", kFactors, MergeOperator::kDareTies},
    {"magnitude_prune", kFactors, MergeOperator::kMagnitudePrune},
    {"ties_svd", kDelta, MergeOperator::kTies},
    {"dare_linear_svd", kDelta, MergeOperator::kDareLinear},
    {"dare_ties_svd", kDelta, MergeOperator::kDareTies},
    {"magnitude_prune_svd", kDelta, MergeOperator::kMagnitudePrune},
};

const TypeInfo& GetInfo(CombinationType type) {
  return kTypes[static_cast<int>(type)];
}

absl::Status CheckRanks(absl::Span<const int64_t> ranks) {
  if (ranks.empty()) return ArgumentError("there are no adapters to combine");
  if (*std::min_element(ranks.begin(), ranks.end()) > 0) {
    return absl::OkStatus();
  }
  return ArgumentError(absl::StrCat("cannot combine adapters of ranks ",
                                    absl::StrJoin(ranks, ", "),
                                    ": each must be above 0"));
}

absl::StatusOr<int64_t> CommonRank(CombinationType type,
                                   absl::Span<const int64_t> ranks) {
  const auto differs = [&](int64_t rank) { return rank != ranks[0]; };
  if (std::none_of(ranks.begin(), ranks.end(), differs)) return ranks[0];
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterNotCombinable,
      absl::StrCat("combination type \"", GetInfo(type).name,
                   "\" needs adapters of one rank, but theirs are ",
                   absl::StrJoin(ranks, ", "),
                   "; \"cat\" and the svd types do not"),
      {"r", "one rank", absl::StrJoin(ranks, ", ")});
}

}  // namespace

absl::StatusOr<CombinationType> ParseCombinationType(absl::string_view name) {
  std::string names;
  for (const TypeInfo& info : kTypes) {
    if (info.name == name) return static_cast<CombinationType>(&info - kTypes);
    absl::StrAppend(&names, names.empty() ? "" : ", ", info.name);
  }
  return ArgumentError(
      absl::StrCat("combination type \"", name, "\" is none of ", names),
      {"combination_type", names, std::string(name)});
}

absl::StatusOr<MajoritySignMethod> ParseMajoritySignMethod(
    absl::string_view name) {
  if (name == "total") return MajoritySignMethod::kTotal;
  if (name == "frequency") return MajoritySignMethod::kFrequency;
  return ArgumentError(
      absl::StrCat("majority sign method \"", name,
                   "\" is neither \"total\" nor \"frequency\""),
      {"majority_sign_method", "total or frequency", std::string(name)});
}

bool IsRandomCombination(CombinationType type) {
  const MergeOperator op = GetMergeOperator(type);
  return op == MergeOperator::kDareLinear || op == MergeOperator::kDareTies;
}

absl::StatusOr<int64_t> CombinedRank(CombinationType type,
                                     absl::Span<const int64_t> ranks,
                                     std::optional<int64_t> svd_rank) {
  PEFT_RETURN_IF_ERROR(CheckRanks(ranks));
  switch (GetInfo(type).target) {
    case CombinationTarget::kFactors:
      return CommonRank(type, ranks);
    case CombinationTarget::kConcatenation:
      return std::accumulate(ranks.begin(), ranks.end(), int64_t{0});
    case CombinationTarget::kDelta:
      break;
  }
  if (!svd_rank.has_value())
    return *std::max_element(ranks.begin(), ranks.end());
  if (*svd_rank > 0) return *svd_rank;
  return ArgumentError(absl::StrCat("svd_rank is ", *svd_rank, ", not above 0"),
                       {"svd_rank", "above 0", absl::StrCat(*svd_rank)});
}

CombinationTarget GetCombinationTarget(CombinationType type) {
  return GetInfo(type).target;
}

MergeOperator GetMergeOperator(CombinationType type) {
  return GetInfo(type).op;
}

}  // namespace peft
