// The adapters of one model by name, and which of them are active.
#ifndef PEFT_CC_ADAPTERS_REGISTRY_H_
#define PEFT_CC_ADAPTERS_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/plan_cache.h"

namespace peft {

// Thread-safe. Every verb is atomic: on error nothing has changed.
class AdapterRegistry {
 public:
  // `sites` must outlive the registry.
  explicit AdapterRegistry(const SiteTable* sites);

  // Takes `name` before a slow load, so that two loads of one name cannot both
  // succeed: ALREADY_EXISTS (ADAPTER_EXISTS) when it is taken,
  // INVALID_ARGUMENT (ADAPTER_NAME) for "" and "__base__". Call Add or
  // CancelReservation next.
  absl::Status Reserve(const std::string& name);
  // Gives the name free after a load that failed.
  void CancelReservation(const std::string& name);

  // Registers `adapter` under the reserved `name` and makes it the only active
  // one. Whether adapters are enabled is unchanged.
  absl::Status Add(const std::string& name,
                   std::shared_ptr<const Adapter> adapter);

  // Makes exactly these the active ones, in this order; an empty list means
  // the base model. `scales` has one factor per name, or none at all: all 1.
  // NOT_FOUND (ADAPTER_NOT_FOUND) names the unknown ones and the known ones. A
  // name given twice, another number of scales, or one that is not finite is
  // INVALID_ARGUMENT. Fails as Plan::Create where they cannot act together or
  // so scaled. Does not enable disabled adapters.
  absl::Status SetActive(absl::Span<const std::string> names,
                         absl::Span<const float> scales = {});

  // False: the base model runs, whatever is active.
  void SetEnabled(bool enabled);
  bool enabled() const;

  // Deletes all or none; a name given twice counts once. If an active one
  // goes, the other active ones stay active; if none is left, the base model is
  // what runs (PEFT silently activates another adapter here). NOT_FOUND
  // (ADAPTER_NOT_FOUND) names all unknown ones.
  absl::Status Delete(absl::Span<const std::string> names);

  // The loaded adapters in load order.
  std::vector<std::string> Names() const;

  // In activation order; also while disabled.
  std::vector<std::string> Active() const;

  // NOT_FOUND (ADAPTER_NOT_FOUND) names the known ones.
  absl::StatusOr<std::shared_ptr<const Adapter>> Get(
      const std::string& name) const;

  // The plan of the current activation: of the base when disabled. Constant
  // time.
  std::shared_ptr<const Plan> CurrentPlan() const;

 private:
  struct Named {
    std::string name;
    std::shared_ptr<const Adapter> adapter;  // null while reserved
  };
  // One that is active, with its factor.
  struct Choice {
    std::string name;
    std::shared_ptr<const Adapter> adapter;
    float scale = 1.0f;
  };

  // The verbs make what comes next first, which may run out of memory, and then
  // swap it with what was, which ends after the lock: it may be the last owner
  // of an adapter.
  absl::StatusOr<std::shared_ptr<const Plan>> MakePlan(
      const std::vector<Choice>& active, bool enabled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The loaded adapter of that name, or null.
  const Named* Find(const std::string& name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::vector<std::string> LoadedNames() const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status CheckKnown(absl::Span<const std::string> names) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::vector<Named> adapters_ ABSL_GUARDED_BY(mutex_);
  std::vector<Choice> active_ ABSL_GUARDED_BY(mutex_);
  bool enabled_ ABSL_GUARDED_BY(mutex_) = true;
  PlanCache plans_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Plan> plan_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_REGISTRY_H_
