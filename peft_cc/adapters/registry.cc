#include "peft_cc/adapters/registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "peft_cc/adapters/registry_errors.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// How many evicted names are remembered.
constexpr size_t kMaxEvicted = 64;

bool Contains(absl::Span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

AdapterRegistry::AdapterRegistry(const SiteTable* sites)
    : sites_(sites), plans_(sites), plan_(*Plan::Create(*sites, {})) {
  evicted_.reserve(kMaxEvicted + 1);
}

absl::Status AdapterRegistry::Reserve(const std::string& name) {
  PEFT_RETURN_IF_ERROR(CheckAdapterName(name));
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckFree(name));
  adapters_.push_back({name, nullptr});
  return absl::OkStatus();
}

void AdapterRegistry::CancelReservation(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto it =
      std::find_if(adapters_.begin(), adapters_.end(), [&](const Named& named) {
        return named.name == name && named.adapter == nullptr;
      });
  if (it != adapters_.end()) adapters_.erase(it);
}

absl::Status AdapterRegistry::Add(const std::string& name,
                                  std::shared_ptr<const Adapter> adapter,
                                  AdapterOrigin origin) {
  std::vector<Choice> active = {{name, adapter, 1.0f}};
  Named added = MakeNamed(name, std::move(adapter), std::move(origin));
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(std::vector<std::string> evicted,
                        Evictions({added.size_bytes, 1}, "", limit_));
  PEFT_ASSIGN_OR_RETURN(plan, NextPlan(active, {}));
  removed.adapters.reserve(evicted.size());
  adapters_.reserve(adapters_.size() + 1);
  Insert(std::move(added), std::move(evicted), removed);
  Touch(active_);
  Touch(active);
  Drop(merged_, removed);
  active_.swap(active);
  Publish(plan);
  return absl::OkStatus();
}

absl::Status AdapterRegistry::AddInactive(
    const std::string& name, std::shared_ptr<const Adapter> adapter,
    AdapterOrigin origin) {
  Named added = MakeNamed(name, std::move(adapter), std::move(origin));
  Removed removed;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(std::vector<std::string> evicted,
                        Evictions({added.size_bytes, 1}, "", limit_));
  removed.adapters.reserve(evicted.size());
  adapters_.reserve(adapters_.size() + 1);
  added.last_use = ++uses_;
  Insert(std::move(added), std::move(evicted), removed);
  return absl::OkStatus();
}

void AdapterRegistry::Insert(Named added, std::vector<std::string> evicted,
                             Removed& out_removed) {
  Evict(std::move(evicted), out_removed);
  // Behind what other threads finished loading since the reservation.
  adapters_.erase(std::remove_if(adapters_.begin(), adapters_.end(),
                                 [&](const Named& named) {
                                   return named.name == added.name;
                                 }),
                  adapters_.end());
  evicted_.erase(std::remove(evicted_.begin(), evicted_.end(), added.name),
                 evicted_.end());
  adapters_.push_back(std::move(added));
  LimitBlocks();
}

absl::Status AdapterRegistry::SetActive(absl::Span<const std::string> names,
                                        absl::Span<const float> scales) {
  PEFT_RETURN_IF_ERROR(CheckDistinct(names));
  PEFT_RETURN_IF_ERROR(CheckScales(names, scales));
  std::vector<Choice> active;
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(active, Choose(names, scales));
  Merged taken = TakeBackPlaced();
  absl::Cleanup undo = [&] { PutBackPlaced(&taken); };
  PEFT_ASSIGN_OR_RETURN(plan, NextPlan(active, {}));
  std::move(undo).Cancel();
  Touch(active_);
  Touch(active);
  Drop(taken.overlay != nullptr ? taken : merged_, removed);
  active_.swap(active);
  Publish(plan);
  return absl::OkStatus();
}

void AdapterRegistry::SetEnabled(bool enabled) {
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  if (enabled_ == enabled) return;
  // What is active was planned when it was set: this cannot fail.
  plan = enabled ? *EnabledPlan(active_, merged_) : *MakePlan({}, false);
  enabled_ = enabled;
  Publish(plan);
}

bool AdapterRegistry::enabled() const {
  absl::ReaderMutexLock lock(&mutex_);
  return enabled_;
}

absl::Status AdapterRegistry::Delete(absl::Span<const std::string> names) {
  std::vector<Choice> active;
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown(names));
  PEFT_RETURN_IF_ERROR(CheckNotMerged(names));
  removed.adapters.reserve(names.size());
  for (const Choice& choice : active_) {
    if (!Contains(names, choice.name)) active.push_back(choice);
  }
  if (active.size() != active_.size()) {
    PEFT_ASSIGN_OR_RETURN(plan, NextPlan(active, merged_));
    active_.swap(active);
    Publish(plan);
  }
  Remove(names, removed);
  return absl::OkStatus();
}

void AdapterRegistry::Remove(absl::Span<const std::string> names,
                             Removed& out_removed) {
  const auto keep_adapter = [&](const Named& named) {
    return named.adapter == nullptr || !Contains(names, named.name);
  };
  const auto first =
      std::stable_partition(adapters_.begin(), adapters_.end(), keep_adapter);
  for (auto it = first; it != adapters_.end(); ++it) {
    plans_.Forget(it->adapter->generation(), out_removed.plans);
  }
  std::move(first, adapters_.end(), std::back_inserter(out_removed.adapters));
  adapters_.erase(first, adapters_.end());
  LimitBlocks();
}

void AdapterRegistry::Evict(std::vector<std::string> names,
                            Removed& out_removed) {
  Remove(names, out_removed);
  for (std::string& name : names) {
    evicted_.push_back(std::move(name));
    if (evicted_.size() > kMaxEvicted) evicted_.erase(evicted_.begin());
  }
}

std::vector<std::string> AdapterRegistry::Names() const {
  absl::ReaderMutexLock lock(&mutex_);
  return LoadedNames();
}

std::vector<std::string> AdapterRegistry::Active() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const Choice& choice : active_) names.push_back(choice.name);
  return names;
}

absl::StatusOr<std::shared_ptr<const Adapter>> AdapterRegistry::Get(
    const std::string& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  return Find(name)->adapter;
}

std::shared_ptr<const Plan> AdapterRegistry::CurrentPlan() const {
  absl::ReaderMutexLock lock(&mutex_);
  return plan_;
}

absl::StatusOr<AdapterRegistry::Running> AdapterRegistry::GetRunning() {
  Running running;
  absl::MutexLock lock(&mutex_);
  running.version = version_.load(std::memory_order_relaxed);
  running.current = plan_;
  running.enabled = enabled_;
  running.rows = CheckRowsAllowed();
  PEFT_ASSIGN_OR_RETURN(running.base, MakePlan({}, false));
  return running;
}

Activation AdapterRegistry::ActivationOf(
    const std::vector<Choice>& choices) const {
  Activation activation;
  for (const Choice& choice : choices) {
    const Named* const named = Find(choice.name);
    const float scale = named == nullptr ? 1.0f : named->scale;
    activation.entries.push_back(
        {choice.adapter, choice.scale * scale, choice.name});
  }
  return activation;
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::MakePlan(
    const std::vector<Choice>& active, bool enabled,
    std::shared_ptr<const BaseOverlay> overlay) {
  Activation activation;
  if (enabled) activation = ActivationOf(active);
  std::vector<std::shared_ptr<const Adapter>> load_order;
  // While the base's weights are not in their place.
  if (overlay == nullptr) overlay = merged_.originals;
  if (activation.entries.size() > 1) {
    for (const Named& named : adapters_) {
      if (named.adapter != nullptr) load_order.push_back(named.adapter);
    }
  }
  return plans_.Get(std::move(activation), {load_order, std::move(overlay)});
}

absl::StatusOr<std::vector<AdapterRegistry::Choice>> AdapterRegistry::Choose(
    absl::Span<const std::string> names, absl::Span<const float> scales) const {
  PEFT_RETURN_IF_ERROR(CheckKnown(names));
  std::vector<Choice> choices;
  for (size_t i = 0; i < names.size(); ++i) {
    choices.push_back(
        {names[i], Find(names[i])->adapter, scales.empty() ? 1.0f : scales[i]});
  }
  return choices;
}

void AdapterRegistry::Touch(const std::vector<Choice>& choices) {
  for (const Choice& choice : choices) {
    Named* const named = Find(choice.name);
    if (named != nullptr) named->last_use = ++uses_;
  }
}

AdapterRegistry::Named* AdapterRegistry::Find(const std::string& name) {
  for (Named& named : adapters_) {
    if (named.name == name && named.adapter != nullptr) return &named;
  }
  return nullptr;
}

const AdapterRegistry::Named* AdapterRegistry::Find(
    const std::string& name) const {
  for (const Named& named : adapters_) {
    if (named.name == name && named.adapter != nullptr) return &named;
  }
  return nullptr;
}

std::vector<std::string> AdapterRegistry::LoadedNames() const {
  std::vector<std::string> names;
  for (const Named& named : adapters_) {
    if (named.adapter != nullptr) names.push_back(named.name);
  }
  return names;
}

absl::Status AdapterRegistry::CheckKnown(
    absl::Span<const std::string> names) const {
  std::vector<std::string> unknown;
  for (const std::string& name : names) {
    if (Find(name) == nullptr && !Contains(unknown, name)) {
      unknown.push_back(name);
    }
  }
  if (unknown.empty()) return absl::OkStatus();
  return AdapterNotFoundError(unknown, LoadedNames(), evicted_);
}

absl::Status AdapterRegistry::CheckFree(const std::string& name) const {
  for (const Named& named : adapters_) {
    if (named.name == name) {
      return AdapterExistsError(name, named.adapter == nullptr);
    }
  }
  return absl::OkStatus();
}

}  // namespace peft
