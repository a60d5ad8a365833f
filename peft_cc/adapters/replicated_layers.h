// Whether an adapter and a model mean the same layers.
#ifndef PEFT_CC_ADAPTERS_REPLICATED_LAYERS_H_
#define PEFT_CC_ADAPTERS_REPLICATED_LAYERS_H_

#include "absl/status/status.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// FAILED_PRECONDITION (LAYER_REPLICATION) for an adapter with a
// layer_replication that is not the model's: its layer 5 is another than the
// model's. Where the model alone has one, its layers are taken as they are, as
// PEFT does for a second adapter, with a line in the report.
absl::Status CheckReplicatedLayers(const TargetConfig& config,
                                   const SiteTable& sites, LoadReport& report);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_REPLICATED_LAYERS_H_
