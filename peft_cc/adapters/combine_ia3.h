// IA3's add_weighted_adapter.
#ifndef PEFT_CC_ADAPTERS_COMBINE_IA3_H_
#define PEFT_CC_ADAPTERS_COMBINE_IA3_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/combine.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The adapter `name` whose vectors are the sums of the sources' with their
// weights; a source that lacks a layer is missing from its sum, as in PEFT.
// `sources` are all IA3, at least one. Fails as CombineAdapters.
absl::StatusOr<LoadedAdapter> CombineIa3Adapters(
    const SiteTable& sites, const std::string& name,
    absl::Span<const CombineSource> sources);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_COMBINE_IA3_H_
