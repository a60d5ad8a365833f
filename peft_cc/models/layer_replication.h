// A model that has layers of its base several times: the weights are shared,
// the places where adapters attach are not.
#ifndef PEFT_CC_MODELS_LAYER_REPLICATION_H_
#define PEFT_CC_MODELS_LAYER_REPLICATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/base/json.h"
#include "peft_cc/config/layer_ranges.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/model_family.h"

namespace peft {

// What the adapters in these PEFT folders ask for; empty: nothing. Fails as
// ReadAdapterConfig does, and with FAILED_PRECONDITION (LAYER_REPLICATION)
// where two ask for different layers.
absl::StatusOr<LayerRanges> LayerReplicationOf(
    absl::Span<const std::string> adapter_folders);

// Makes `config` that of the model with the layers of `ranges`, which are not
// empty. INVALID_ARGUMENT (LAYER_REPLICATION) for layers that the base does not
// have, and for more than any model has.
absl::Status ReplicateLayers(const LayerRanges& ranges, FamilyConfig& config);

// For each weight of the replicated description: which of those of the base's
// own description it is. `source_layers` is that of the replicated config.
std::vector<int> SourceWeights(const Description& base,
                               const Description& replicated,
                               const std::vector<int64_t>& source_layers);

// Makes the config.json `config` of the base that of the model which
// `replicated` describes. FAILED_PRECONDITION (LAYER_REPLICATION) where no
// config can say it: GPT-2 with scale_attn_by_inverse_layer_idx, whose layers
// keep the scale of the place that they had.
absl::Status SetReplicatedLayers(const Description& replicated, Json& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_LAYER_REPLICATION_H_
