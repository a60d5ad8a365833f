#include "peft_cc/algebra/merge_operators.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Elements = std::vector<float>;

// `torch.topk` takes its partial sort below this share of the elements.
constexpr int64_t kPartialSortDivisor = 64;

bool IsRandom(MergeOperator op) {
  return op == MergeOperator::kDareLinear || op == MergeOperator::kDareTies;
}

bool IsDisjoint(MergeOperator op) {
  return op == MergeOperator::kTies || op == MergeOperator::kDareTies;
}

int Sign(float value) { return (value > 0) - (value < 0); }

// Which of equal elements `torch.topk` keeps depends on its algorithm: these
// are its calls of the standard library.
void PruneByMagnitude(double density, Elements& elements) {
  using Entry = std::pair<float, int64_t>;
  const int64_t count = static_cast<int64_t>(elements.size());
  const int64_t num_kept = static_cast<int64_t>(density * count);
  std::vector<Entry> entries;
  entries.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    entries.emplace_back(std::abs(elements[i]), i);
  }
  const auto is_before = [](const Entry& x, const Entry& y) {
    return (std::isnan(x.first) && !std::isnan(y.first)) || x.first > y.first;
  };
  const auto kept_end = entries.begin() + num_kept;
  if (num_kept * kPartialSortDivisor <= count) {
    std::partial_sort(entries.begin(), kept_end, entries.end(), is_before);
  } else {
    std::nth_element(entries.begin(), kept_end - 1, entries.end(), is_before);
  }
  for (auto it = kept_end; it != entries.end(); ++it) elements[it->second] = 0;
}

void PruneAtRandom(double density, TorchGenerator& generator,
                   Elements& elements) {
  const float probability = static_cast<float>(density);
  Elements mask(elements.size());
  generator.Bernoulli(probability, absl::MakeSpan(mask));
  for (size_t i = 0; i < elements.size(); ++i) {
    elements[i] = elements[i] * mask[i] / probability;
  }
}

void Prune(const MergeOptions& options, TorchGenerator& generator,
           std::vector<Elements>& tensors) {
  if (*options.density >= 1) return;
  for (Elements& elements : tensors) {
    if (IsRandom(options.op)) {
      PruneAtRandom(*options.density, generator, elements);
    } else {
      PruneByMagnitude(*options.density, elements);
    }
  }
}

Elements WeightedSum(absl::Span<const Elements> tensors,
                     absl::Span<const float> weights) {
  Elements sum(tensors[0].size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    for (size_t j = 0; j < sum.size(); ++j) {
      sum[j] += tensors[i][j] * weights[i];
    }
  }
  return sum;
}

int MajoritySign(MajoritySignMethod method, absl::Span<const Elements> tensors,
                 size_t element) {
  float sum = 0;
  for (const Elements& elements : tensors) {
    const float value = elements[element];
    sum += method == MajoritySignMethod::kTotal ? value : Sign(value);
  }
  return sum >= 0 ? 1 : -1;
}

Elements DisjointMean(MajoritySignMethod method,
                      absl::Span<const Elements> tensors,
                      absl::Span<const float> weights) {
  Elements mean(tensors[0].size());
  for (size_t j = 0; j < mean.size(); ++j) {
    const int majority = MajoritySign(method, tensors, j);
    float sum = 0;
    int num_kept = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (Sign(tensors[i][j]) != majority) continue;
      sum += tensors[i][j] * weights[i];
      ++num_kept;
    }
    mean[j] = sum / static_cast<float>(std::max(num_kept, 1));
  }
  return mean;
}

absl::Status CheckSizes(absl::Span<const Elements> tensors,
                        absl::Span<const float> weights) {
  if (tensors.empty() || tensors.size() != weights.size()) {
    return ArgumentError(absl::StrCat("cannot combine ", tensors.size(),
                                      " tensors with ", weights.size(),
                                      " weights"));
  }
  for (const Elements& elements : tensors) {
    if (elements.size() == tensors[0].size()) continue;
    return ArgumentError(absl::StrCat("cannot combine tensors of ",
                                      tensors[0].size(), " and ",
                                      elements.size(), " elements"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMergeOptions(const MergeOptions& options) {
  if (options.op == MergeOperator::kTaskArithmetic) return absl::OkStatus();
  const bool is_random = IsRandom(options.op);
  const absl::string_view expected = is_random ? "above 0" : "0 or more";
  if (!options.density.has_value()) {
    return ArgumentError(
        "this combination needs a density: the share of elements to keep",
        {"density", std::string(expected)});
  }
  const double density = *options.density;
  if (is_random ? density > 0 : density >= 0) return absl::OkStatus();
  return ArgumentError(
      absl::StrCat("density is ", density, ", expected ", expected),
      {"density", std::string(expected), absl::StrCat(density)});
}

absl::StatusOr<std::vector<float>> MergeElements(
    const MergeOptions& options, std::vector<std::vector<float>> tensors,
    absl::Span<const float> weights, TorchGenerator& generator) {
  PEFT_RETURN_IF_ERROR(CheckMergeOptions(options));
  PEFT_RETURN_IF_ERROR(CheckSizes(tensors, weights));
  if (options.op == MergeOperator::kTaskArithmetic) {
    return WeightedSum(tensors, weights);
  }
  Prune(options, generator, tensors);
  if (!IsDisjoint(options.op)) return WeightedSum(tensors, weights);
  return DisjointMean(options.majority_sign_method, tensors, weights);
}

}  // namespace peft
