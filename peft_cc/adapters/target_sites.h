// The sites that an adapter's config targets.
#ifndef PEFT_CC_ADAPTERS_TARGET_SITES_H_
#define PEFT_CC_ADAPTERS_TARGET_SITES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/method_table.h"

namespace peft {

// A site that is targeted.
struct TargetSite {
  int site = -1;     // index into SiteTable::sites()
  std::string name;  // as the trained model called it
};

// The targets of `config` for `method` among `sites`, in their order. Names are
// matched as the trained model wrote them (`style` of `keys`), so that a regex
// from a bare model hits here what it hit there. Fails as MatchTargets does,
// and with INVALID_ARGUMENT (ADAPTER_CONFIG) for a target that the method has
// no layer for. Remarks are added to `out_notes`.
absl::StatusOr<std::vector<TargetSite>> FindTargetSites(
    const TargetConfig& config, const MethodInfo& method,
    const SiteTable& sites, const KeyMap& keys,
    std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TARGET_SITES_H_
