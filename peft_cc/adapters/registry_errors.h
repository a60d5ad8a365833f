// What the registry refuses, for its own parts.
#ifndef PEFT_CC_ADAPTERS_REGISTRY_ERRORS_H_
#define PEFT_CC_ADAPTERS_REGISTRY_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace peft {

// INVALID_ARGUMENT (ADAPTER_NAME) for "" and "__base__".
absl::Status CheckAdapterName(const std::string& name);

// ALREADY_EXISTS (ADAPTER_EXISTS).
absl::Status AdapterExistsError(const std::string& name, bool is_loading);

// NOT_FOUND (ADAPTER_NOT_FOUND): names `unknown`, the `known` ones, and those
// of `unknown` that were `evicted`.
absl::Status AdapterNotFoundError(absl::Span<const std::string> unknown,
                                  absl::Span<const std::string> known,
                                  absl::Span<const std::string> evicted);

// INVALID_ARGUMENT (ARGUMENT) for a name given twice.
absl::Status CheckDistinct(absl::Span<const std::string> names);

// INVALID_ARGUMENT (ARGUMENT) unless there are as many scales as names, or
// none, and all are finite.
absl::Status CheckScales(absl::Span<const std::string> names,
                         absl::Span<const float> scales);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_REGISTRY_ERRORS_H_
