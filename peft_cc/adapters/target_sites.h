// The sites that an adapter's config targets.
#ifndef PEFT_CC_ADAPTERS_TARGET_SITES_H_
#define PEFT_CC_ADAPTERS_TARGET_SITES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/method_table.h"

namespace peft {

// The targets of `config` for `method` among `sites`, in their order;
// `task_type` is that of the whole config. Names are
// matched as the trained model wrote them (`style` of `keys`), so that a regex
// from a bare model hits here what it hit there. Fails as MatchTargets does,
// and with INVALID_ARGUMENT (ADAPTER_CONFIG) for a target that the method has
// no layer for. A MultiheadAttention brings its out_proj along, and with
// ensure_weight_tying an embedding the head that is tied to it. Parameters come
// last. Remarks are added to `out_notes`.
absl::StatusOr<std::vector<TargetSite>> FindTargetSites(
    const TargetConfig& config, absl::string_view task_type,
    const MethodInfo& method, const SiteTable& sites, const KeyMap& keys,
    std::vector<std::string>* out_notes);

// What "all-linear" stands for, in module order.
std::vector<std::string> AllLinearNames(const SiteTable& sites,
                                        absl::string_view task_type);

// A target as methods see it, which know layers and not sites; `weight` is what
// lies below the adapter there.
Layer LayerOf(const SiteTable& sites, const TargetSite& target,
              const Tensor& weight);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TARGET_SITES_H_
