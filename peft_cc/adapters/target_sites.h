// The sites that an adapter's config targets.
#ifndef PEFT_CC_ADAPTERS_TARGET_SITES_H_
#define PEFT_CC_ADAPTERS_TARGET_SITES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/lora.h"

namespace peft {

// A site with the rank and alpha that the config gives it.
struct TargetSite {
  int site = -1;  // index into SiteTable::sites()
  LoraRank rank;
};

// The targets of `config` among `sites`, in their order; `task_type` is that of
// the whole config. Names are matched as
// the trained model wrote them (`style` of `keys`), so that a regex from a bare
// model hits here what it hit there. Fails as MatchTargets does, and with
// INVALID_ARGUMENT (ADAPTER_CONFIG) for a target that LoRA has no layer for.
// Remarks are added to `out_notes`.
absl::StatusOr<std::vector<TargetSite>> FindTargetSites(
    const LoraConfig& config, absl::string_view task_type,
    const SiteTable& sites, const KeyMap& keys,
    std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TARGET_SITES_H_
