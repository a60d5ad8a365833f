// Which adapters go when there is a limit on those that are resident.
#ifndef PEFT_CC_ADAPTERS_EVICTION_H_
#define PEFT_CC_ADAPTERS_EVICTION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace peft {

// What a model's adapters may take together; 0: no limit.
struct AdapterLimit {
  int64_t max_bytes = 0;
  int64_t max_adapters = 0;
};

// A loaded adapter as the limit sees it.
struct Resident {
  int64_t bytes = 0;
  uint64_t last_use = 0;  // larger is later
  bool can_go = false;
};

// What is to be added to the residents.
struct RoomWanted {
  int64_t bytes = 0;
  int64_t adapters = 0;
};

// Indices into `residents`, the least lately used first, of those that must go
// for `wanted` to fit. RESOURCE_EXHAUSTED (ADAPTER_LIMIT), with what was wanted
// and what there is, where all that can go are not enough.
absl::StatusOr<std::vector<size_t>> ChooseEvictions(
    absl::Span<const Resident> residents, const RoomWanted& wanted,
    const AdapterLimit& limit);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_EVICTION_H_
