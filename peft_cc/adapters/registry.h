// The adapters of one model by name, and which of them are active.
#ifndef PEFT_CC_ADAPTERS_REGISTRY_H_
#define PEFT_CC_ADAPTERS_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/base_overlay.h"
#include "peft_cc/adapters/eviction.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/placed_weights.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/plan_cache.h"
#include "peft_cc/base/block_cache.h"

namespace peft {

// PEFT's name for "no adapter" among the names of a mixed batch.
inline constexpr char kBaseName[] = "__base__";

// What is known of an adapter besides what it does.
struct AdapterOrigin {
  std::string source;  // the folder that it was loaded from; "" for memory
  bool is_trainable = false;
};

// Facts of a loaded adapter.
struct AdapterInfo {
  std::shared_ptr<const Adapter> adapter;
  AdapterOrigin origin;
  int64_t size_bytes = 0;
  float scale = 1.0f;
  bool is_active = false;
  bool is_pinned = false;
};

// A plan of a caller's own. While it lives its adapters are not evicted.
struct HeldPlan {
  std::shared_ptr<const Plan> plan;
  std::vector<std::shared_ptr<const bool>> leases;
};

// What all adapters take together.
struct AdapterUsage {
  int64_t num_adapters = 0;
  int64_t size_bytes = 0;
};

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
  // one. Whether adapters are enabled is unchanged. Evicts others where the
  // limit asks for it; RESOURCE_EXHAUSTED (ADAPTER_LIMIT) where that is not
  // enough.
  absl::Status Add(const std::string& name,
                   std::shared_ptr<const Adapter> adapter,
                   AdapterOrigin origin = {});

  // The same without activating it: what is active and merged stays.
  absl::Status AddInactive(const std::string& name,
                           std::shared_ptr<const Adapter> adapter,
                           AdapterOrigin origin = {});

  // Puts `adapter` in the place of the one named `name`: with its position
  // among the loaded and the active ones, its scales and its pin. NOT_FOUND
  // (ADAPTER_NOT_FOUND); FAILED_PRECONDITION (ADAPTER_GENERATION) where
  // `expected_generation` is neither 0 nor the one that is there; else fails as
  // Plan::Create and Add do.
  absl::Status Replace(const std::string& name,
                       std::shared_ptr<const Adapter> adapter,
                       AdapterOrigin origin = {},
                       uint64_t expected_generation = 0);
  // The first two errors of Replace, before a slow load.
  absl::Status CheckReplaceable(const std::string& name,
                                uint64_t expected_generation) const;

  // Gives an adapter another name. NOT_FOUND, or as Reserve.
  absl::Status Rename(const std::string& name, const std::string& new_name);

  // Multiplies all that the adapter adds, besides the scales of SetActive.
  // NOT_FOUND; INVALID_ARGUMENT (ARGUMENT) for one that is not finite,
  // (ADAPTER_SCALE) for one that the adapter cannot have.
  absl::Status SetScale(const std::string& name, float scale);

  // Makes exactly these the active ones, in this order; an empty list means
  // the base model. What is merged is unmerged. `scales` has one factor per
  // name, or none at all: all 1. NOT_FOUND (ADAPTER_NOT_FOUND) names the
  // unknown ones and the known ones. A name given twice, another number of
  // scales, or one that is not finite is INVALID_ARGUMENT. Fails as
  // Plan::Create where they cannot act together or so scaled. Does not enable
  // disabled adapters.
  absl::Status SetActive(absl::Span<const std::string> names,
                         absl::Span<const float> scales = {});

  // False: the base model runs, whatever is active.
  void SetEnabled(bool enabled);
  bool enabled() const;

  // Deletes all or none; a name given twice counts once. If an active one
  // goes, the other active ones stay active; if none is left, the base model is
  // what runs (PEFT silently activates another adapter here). NOT_FOUND
  // (ADAPTER_NOT_FOUND) names all unknown ones; FAILED_PRECONDITION (MERGED)
  // for one that is merged.
  absl::Status Delete(absl::Span<const std::string> names);

  // Unmerges and deletes all, but for those that are being loaded.
  void Clear();

  // The loaded adapters in load order.
  std::vector<std::string> Names() const;

  // In activation order; also while disabled.
  std::vector<std::string> Active() const;

  // NOT_FOUND (ADAPTER_NOT_FOUND) names the known ones.
  absl::StatusOr<std::shared_ptr<const Adapter>> Get(
      const std::string& name) const;

  // NOT_FOUND (ADAPTER_NOT_FOUND) names the known ones.
  absl::StatusOr<AdapterInfo> Info(const std::string& name) const;
  AdapterUsage Usage() const;

  // Limits the loaded adapters; evicts those that may go. RESOURCE_EXHAUSTED
  // (ADAPTER_LIMIT) where that is not enough. Those that are active, pinned,
  // trainable or held by a plan of PlanOf stay.
  absl::Status SetLimit(const AdapterLimit& limit);
  bool HasLimit() const;
  // The error of Add or, where `replaced` is not empty, of Replace for an
  // adapter of `bytes`, before a slow load. Evicts nothing.
  absl::Status CheckRoom(int64_t bytes, const std::string& replaced) const;
  // A pinned adapter is never evicted. NOT_FOUND.
  absl::Status SetPinned(const std::string& name, bool pinned);

  // Merges these adapters, or with no name the active ones, into new weights
  // that all later plans of active adapters have; see peft_c.h for the meaning
  // of being merged. `scales` has one factor per name, or none: those that
  // active ones act with, 1 for others. Returns the names that were not merged
  // before: none where nothing was to be done. Computes without the lock, and
  // again where another thread changed the adapters meanwhile. NOT_FOUND
  // (ADAPTER_NOT_FOUND), FAILED_PRECONDITION (ADAPTER_NOT_FOUND: no name and
  // none is active; MERGED: is merged with another scale; ADAPTER_CONFLICT), or
  // fails as MergePlan and Plan::Create.
  absl::StatusOr<std::vector<std::string>> Merge(
      absl::Span<const std::string> names, absl::Span<const float> scales,
      const MergeAdapterOptions& options, kernels::ThreadPool& pool);
  // Back to the base's weights. False where nothing was merged.
  bool Unmerge();
  // In the order in which they were merged; also while disabled.
  std::vector<std::string> MergedNames() const;
  // FAILED_PRECONDITION (MERGED) while adapters are merged and enabled.
  absl::Status CheckNotMerged() const;
  // The plan, on the base's weights, of what is to be merged into a copy of the
  // model: these adapters, or with no name the merged and the active ones.
  // `scales` and failures as of Merge.
  absl::StatusOr<std::shared_ptr<const Plan>> PlanForMerge(
      absl::Span<const std::string> names,
      absl::Span<const float> scales) const;

  // The plan of the current activation: of the base when disabled. Constant
  // time.
  std::shared_ptr<const Plan> CurrentPlan() const;

  // What calls that begin now run; the version changes with it.
  struct Running {
    uint64_t version = 0;
    std::shared_ptr<const Plan> current;
    std::shared_ptr<const Plan> base;
    bool enabled = true;
    absl::Status rows;  // of CheckNotMerged
  };
  absl::StatusOr<Running> GetRunning();
  // Takes no lock. Over 0.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // True while adapters are merged into sites that are writable: what is in
  // these is not the base's. Nothing may read or write their weights while the
  // verbs that merge, unmerge or activate run.
  bool IsMergedInPlace() const;

  // The plan of an activation of the caller's own, whether adapters are enabled
  // or not. Fails as SetActive.
  absl::StatusOr<HeldPlan> PlanOf(absl::Span<const std::string> names,
                                  absl::Span<const float> scales = {});

  // A plan for each row of a batch, which names one adapter or "__base__". All
  // are of the base while adapters are disabled. NOT_FOUND (ADAPTER_NOT_FOUND)
  // names all unknown ones.
  absl::StatusOr<std::vector<std::shared_ptr<const Plan>>> PlansOfRows(
      absl::Span<const std::string> names);

  // The plan of the base model.
  absl::StatusOr<std::shared_ptr<const Plan>> BasePlan();

  // The memory of adapters that went, for those that are loaded. It counts
  // under a limit of bytes as they do.
  BlockCache& blocks() const { return blocks_; }

 private:
  struct Named {
    std::string name;
    std::shared_ptr<const Adapter> adapter;  // null while reserved
    AdapterOrigin origin = {};
    int64_t size_bytes = 0;
    float scale = 1.0f;
    bool is_pinned = false;
    uint64_t last_use = 0;
    // Shared with the plans of PlanOf: who else has it holds the adapter.
    std::shared_ptr<const bool> lease = nullptr;
  };
  // One that is active, with its factor.
  struct Choice {
    std::string name;
    std::shared_ptr<const Adapter> adapter;
    float scale = 1.0f;
  };

  // What the weights hold.
  struct Merged {
    std::vector<Choice> choices;  // in the order in which they were merged
    // How their methods nest in the weights, the innermost first: what is
    // merged later goes around what was there, whenever it was loaded.
    std::vector<std::shared_ptr<const Adapter>> nesting;
    std::shared_ptr<const BaseOverlay> overlay;  // null: nothing is merged
    // The base's weights of sites that are writable, and where they belong;
    // null: there are none.
    std::shared_ptr<const BaseOverlay> originals;
    PlacedWeights placed;

    bool Has(const std::string& name) const;
  };

  // What ends after the lock: it may be the last owner of an adapter.
  struct Removed {
    std::vector<Named> adapters;
    std::list<std::shared_ptr<const Plan>> plans;
    Merged merged;
  };

  // Puts `added` where its name is reserved and takes out those in `evicted`.
  // Nothing can fail once there is room for it and for them.
  void Insert(Named added, std::vector<std::string> evicted,
              Removed& out_removed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Named MakeNamed(const std::string& name,
                  std::shared_ptr<const Adapter> adapter,
                  AdapterOrigin origin) const;
  // The verbs make what comes next first, which may run out of memory, and then
  // swap it with what was.
  absl::StatusOr<std::shared_ptr<const Plan>> MakePlan(
      const std::vector<Choice>& active, bool enabled,
      std::shared_ptr<const BaseOverlay> overlay = nullptr)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The activation of these choices and what adapters set themselves.
  Activation ActivationOf(const std::vector<Choice>& choices) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // How the methods of `choices` nest once all of them are merged.
  std::vector<std::shared_ptr<const Adapter>> NestingOf(
      const std::vector<Choice>& choices) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // What weights hold into which `choices` are merged in that order.
  absl::StatusOr<std::shared_ptr<const Plan>> MakeMergePlan(
      const std::vector<Choice>& choices,
      const std::vector<std::shared_ptr<const Adapter>>& nesting) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // FAILED_PRECONDITION (ADAPTER_CONFLICT) where `choice` cannot act on the
  // merged weights as it would act on what is merged.
  absl::Status CheckOnTop(const Choice& choice, const Merged& merged) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What runs, if adapters are enabled, when `active` are the active ones and
  // `merged` are merged: those that are both act once.
  absl::StatusOr<std::shared_ptr<const Plan>> EnabledPlan(
      const std::vector<Choice>& active, const Merged& merged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same, or the plan of the base while adapters are disabled; also then it
  // fails where they cannot act together.
  absl::StatusOr<std::shared_ptr<const Plan>> NextPlan(
      const std::vector<Choice>& active, const Merged& merged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes `plan` the current one, and `plan` what was.
  void Publish(std::shared_ptr<const Plan>& plan)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    plan_.swap(plan);
    version_.fetch_add(1, std::memory_order_release);
  }
  // Gives writable sites what `*other` keeps of them, and takes what they have:
  // of merged_, which becomes `*other`. Nothing can fail.
  void ExchangePlaced(Merged* other) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Where merged_ has written to sites it is taken back from them, and moved to
  // the result, which is empty otherwise; and undoes that.
  Merged TakeBackPlaced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PutBackPlaced(Merged* taken) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forgets the plans of what is merged no longer.
  void Drop(Merged& merged, Removed& out_removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The end of Merge: `next` begins with what is merged now. Returns the names
  // of the others.
  absl::StatusOr<std::vector<std::string>> SetMerged(Merged next,
                                                     Removed& out_removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // CheckNotMerged for who has the lock.
  absl::Status CheckRowsAllowed() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // FAILED_PRECONDITION (MERGED) where one of these is merged.
  absl::Status CheckNotMerged(absl::Span<const std::string> names) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The scale that `name` is to be merged with: the i-th of `scales`, or the
  // one that it acts with.
  float MergeScale(const std::string& name, absl::Span<const float> scales,
                   size_t i) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // What is merged after Merge of these names: what is merged first.
  absl::StatusOr<std::vector<Choice>> ChooseMerged(
      absl::Span<const std::string> names, absl::Span<const float> scales) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The choices of a caller who names them.
  absl::StatusOr<std::vector<Choice>> Choose(
      absl::Span<const std::string> names, absl::Span<const float> scales) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Counts as a use of these adapters.
  void Touch(const std::vector<Choice>& choices)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The loaded adapter of that name, or null.
  const Named* Find(const std::string& name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  Named* Find(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsActive(const std::string& name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status CheckGeneration(const std::string& name, uint64_t expected) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // ALREADY_EXISTS where the name is taken, also by a load that runs.
  absl::Status CheckFree(const std::string& name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The names of those that must go for `wanted`; `replaced` does not count.
  absl::StatusOr<std::vector<std::string>> Evictions(
      const RoomWanted& wanted, const std::string& replaced,
      const AdapterLimit& limit) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Takes out these adapters, of which none is active. Nothing can fail once
  // there is room for them in `out_removed`.
  void Remove(absl::Span<const std::string> names, Removed& out_removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As Remove, and remembers the names.
  void Evict(std::vector<std::string> names, Removed& out_removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has blocks_ keep what the limit leaves over.
  void LimitBlocks() ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  int64_t LoadedBytes() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  std::vector<std::string> LoadedNames() const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status CheckKnown(absl::Span<const std::string> names) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const SiteTable* sites_;
  mutable BlockCache blocks_;
  mutable absl::Mutex mutex_;
  std::vector<Named> adapters_ ABSL_GUARDED_BY(mutex_);
  std::vector<Choice> active_ ABSL_GUARDED_BY(mutex_);
  bool enabled_ ABSL_GUARDED_BY(mutex_) = true;
  Merged merged_ ABSL_GUARDED_BY(mutex_);
  AdapterLimit limit_ ABSL_GUARDED_BY(mutex_);
  uint64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
  // The last names that were evicted, for messages.
  std::vector<std::string> evicted_ ABSL_GUARDED_BY(mutex_);
  PlanCache plans_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Plan> plan_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> version_{1};
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_REGISTRY_H_
