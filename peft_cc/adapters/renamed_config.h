// The config of an adapter that was trained on a model with another head, or
// with none, in the names of the model that it was loaded into.
#ifndef PEFT_CC_ADAPTERS_RENAMED_CONFIG_H_
#define PEFT_CC_ADAPTERS_RENAMED_CONFIG_H_

#include <vector>

#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// `config`, so that with the adapter's tensors under the model's own names it
// is one that PEFT loads: whole names gain or lose the name of the bare model,
// and a regex, or a filter, that hits other modules than `targets` here gives
// way to a list of them. `config` itself where nothing has to change.
AdapterConfig RenamedConfig(AdapterConfig config, const SiteTable& sites,
                            const std::vector<TargetSite>& targets,
                            const KeyMap& keys);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_RENAMED_CONFIG_H_
