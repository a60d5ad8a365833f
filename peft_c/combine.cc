// add_weighted_adapter.

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::StatusOr<CombinationType> TypeOf(int32_t value) {
  switch (value) {
    case PEFT_COMBINE_SVD:
      return CombinationType::kSvd;
    case PEFT_COMBINE_LINEAR:
      return CombinationType::kLinear;
    case PEFT_COMBINE_CAT:
      return CombinationType::kCat;
    case PEFT_COMBINE_TIES:
      return CombinationType::kTies;
    case PEFT_COMBINE_TIES_SVD:
      return CombinationType::kTiesSvd;
    case PEFT_COMBINE_DARE_LINEAR:
      return CombinationType::kDareLinear;
    case PEFT_COMBINE_DARE_LINEAR_SVD:
      return CombinationType::kDareLinearSvd;
    case PEFT_COMBINE_DARE_TIES:
      return CombinationType::kDareTies;
    case PEFT_COMBINE_DARE_TIES_SVD:
      return CombinationType::kDareTiesSvd;
    case PEFT_COMBINE_MAGNITUDE_PRUNE:
      return CombinationType::kMagnitudePrune;
    case PEFT_COMBINE_MAGNITUDE_PRUNE_SVD:
      return CombinationType::kMagnitudePruneSvd;
    default:
      return BadArgument(
          "options.combination_type",
          absl::StrCat("is ", value, ", expected a PEFT_COMBINE_..."));
  }
}

absl::StatusOr<MajoritySignMethod> SignMethodOf(int32_t value) {
  switch (value) {
    case PEFT_MAJORITY_SIGN_TOTAL:
      return MajoritySignMethod::kTotal;
    case PEFT_MAJORITY_SIGN_FREQUENCY:
      return MajoritySignMethod::kFrequency;
    default:
      return BadArgument(
          "options.majority_sign_method",
          absl::StrCat("is ", value, ", expected a PEFT_MAJORITY_SIGN_..."));
  }
}

// The number that the caller wrote: 0.7, where the nearest float is less, and
// 0.7 of 10 elements are 7.
double AsWritten(float value) {
  double written = 0;
  const bool is_number = absl::SimpleAtod(absl::StrCat(value), &written);
  return is_number && static_cast<float>(written) == value ? written : value;
}

// A part of one; 0: not set.
absl::StatusOr<std::optional<double>> PartOf(absl::string_view name,
                                             float value) {
  if (value == 0) return std::optional<double>();
  if (value > 0 && value <= 1) return std::optional<double>(AsWritten(value));
  return BadArgument(name, absl::StrCat("is ", value,
                                        ", expected over 0 and up to 1, or 0: "
                                        "not set"));
}

absl::StatusOr<CombineOptions> OptionsOf(
    const peft_combine_options_t* options) {
  peft_combine_options_t known = PEFT_COMBINE_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  CombineOptions result;
  PEFT_ASSIGN_OR_RETURN(result.type, TypeOf(known.combination_type));
  PEFT_ASSIGN_OR_RETURN(result.majority_sign_method,
                        SignMethodOf(known.majority_sign_method));
  if (known.svd_rank < 0) {
    return BadArgument(
        "options.svd_rank",
        absl::StrCat("is ", known.svd_rank, ", expected 0 or more"));
  }
  if (known.svd_rank > 0) result.svd_rank = known.svd_rank;
  PEFT_ASSIGN_OR_RETURN(result.svd_clamp,
                        PartOf("options.svd_clamp", known.svd_clamp));
  PEFT_ASSIGN_OR_RETURN(result.density,
                        PartOf("options.density", known.density));
  result.seed = known.seed;
  PEFT_ASSIGN_OR_RETURN(
      result.svd_full_matrices,
      FlagArgument("options.svd_full_matrices", known.svd_full_matrices));
  PEFT_ASSIGN_OR_RETURN(result.svd_driver, OptionalText("options.svd_driver",
                                                        known.svd_driver, ""));
  return result;
}

absl::Status CheckWeights(absl::Span<const float> weights) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (std::isfinite(weights[i])) continue;
    return BadArgument(
        absl::StrCat("weights[", i, "]"),
        absl::StrCat("is ", weights[i], ", expected a finite number"));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace peft

void peft_combine_options_init(peft_combine_options_t* options,
                               size_t struct_size) {
  static constexpr peft_combine_options_t kDefaults = PEFT_COMBINE_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_model_add_weighted_adapter(
    peft_model_t* model, const char* new_name, const char* const* names,
    const float* weights, size_t num_names,
    const peft_combine_options_t* options) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string key,
                          peft::TextArgument("new_name", new_name));
    PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> sources,
                          peft::TextArray("names", names, num_names));
    PEFT_ASSIGN_OR_RETURN(const auto factors,
                          peft::ArrayArgument("weights", weights, num_names));
    PEFT_RETURN_IF_ERROR(peft::CheckWeights(factors));
    PEFT_ASSIGN_OR_RETURN(const peft::CombineOptions known,
                          peft::OptionsOf(options));
    return object->AddWeightedAdapter(key, sources, factors, known);
  });
}
