// Rank and alpha of each targeted module: rank_pattern and alpha_pattern.
#ifndef PEFT_CC_CONFIG_LORA_RANKS_H_
#define PEFT_CC_CONFIG_LORA_RANKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// Rank and alpha of one layer, after the config's patterns.
struct LoraRank {
  int64_t r = 0;
  double alpha = 0;
};

// One for each of `targets`, module names as the trained model wrote them. r is
// at least 1 where the config was parsed. Keys that match no target are added
// to `out_notes`. Fails with INVALID_ARGUMENT or UNIMPLEMENTED (REGEX: a key
// that is no regex, or cannot be run) and RESOURCE_EXHAUSTED (REGEX).
absl::StatusOr<std::vector<LoraRank>> FindLoraRanks(
    const LoraConfig& config, absl::Span<const std::string> targets,
    std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_LORA_RANKS_H_
