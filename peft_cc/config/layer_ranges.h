// layer_replication: which layers of a base model stand where in one that has
// some of them several times.
#ifndef PEFT_CC_CONFIG_LAYER_RANGES_H_
#define PEFT_CC_CONFIG_LAYER_RANGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/config/config_reader.h"

namespace peft {

// Layers [first, end) of the model in the files.
struct LayerRange {
  int64_t first = 0;
  int64_t end = 0;

  bool operator==(const LayerRange& other) const {
    return first == other.first && end == other.end;
  }
};

// One after another they are the layers of the model that runs. Empty: those
// of the files as they are.
using LayerRanges = std::vector<LayerRange>;

// The same layers in as few ranges as possible: two of these are equal where
// their layers are.
LayerRanges Simplified(const LayerRanges& ranges);

// "[[0, 4], [2, 5]]".
std::string RangesText(const LayerRanges& ranges);

// The pairs that `key` holds, simplified; null is none. INVALID_ARGUMENT
// (ADAPTER_CONFIG) for anything else, and for a range that ends before it
// begins or begins before 0.
absl::Status ReadLayerRanges(ConfigReader& reader, absl::string_view key,
                             LayerRanges* out);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_LAYER_RANGES_H_
