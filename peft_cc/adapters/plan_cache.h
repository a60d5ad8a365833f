// Plans that were made before, so that switching back to an activation costs
// a look-up.
#ifndef PEFT_CC_ADAPTERS_PLAN_CACHE_H_
#define PEFT_CC_ADAPTERS_PLAN_CACHE_H_

#include <cstdint>
#include <list>
#include <memory>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/base_overlay.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The last plans of one model, of some 10 KB for 100 adapted layers; they keep
// their adapters alive until Forget. Thread-compatible.
class PlanCache {
 public:
  // `sites` must outlive the cache.
  explicit PlanCache(const SiteTable* sites) : sites_(sites) {}

  // The plan of `activation`: a kept one, or what Plan::Create answers, with a
  // kept one as its sibling.
  absl::StatusOr<std::shared_ptr<const Plan>> Get(Activation activation,
                                                  PlanContext context);

  // Moves the plans that hold `generation` to `out_dropped`, and those of
  // several adapters too: how their methods nest may depend on it. The caller
  // ends them, where it holds no lock.
  void Forget(uint64_t generation,
              std::list<std::shared_ptr<const Plan>>& out_dropped);

  // The same for the plans on `overlay`, so that its weights can go.
  void Forget(const BaseOverlay& overlay,
              std::list<std::shared_ptr<const Plan>>& out_dropped);

 private:
  const SiteTable* sites_;
  std::list<std::shared_ptr<const Plan>> plans_;  // the latest first
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_PLAN_CACHE_H_
