// What changes an adapter that is loaded, and plans of a caller's own.
#include <cmath>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/registry_errors.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {

absl::Status AdapterRegistry::CheckGeneration(const std::string& name,
                                              uint64_t expected) const {
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  const uint64_t found = Find(name)->adapter->generation();
  if (expected == 0 || expected == found) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kAdapterGeneration,
      absl::StrCat("adapter ", Quoted(name), " is generation ", found,
                   ", expected ", expected,
                   ": it was replaced meanwhile; look at what is there, then "
                   "replace it"),
      {name, absl::StrCat(expected), absl::StrCat(found)});
}

absl::Status AdapterRegistry::CheckReplaceable(
    const std::string& name, uint64_t expected_generation) const {
  absl::ReaderMutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckGeneration(name, expected_generation));
  return CheckNotMerged({name});
}

absl::Status AdapterRegistry::Replace(const std::string& name,
                                      std::shared_ptr<const Adapter> adapter,
                                      AdapterOrigin origin,
                                      uint64_t expected_generation) {
  Named next = MakeNamed(name, std::move(adapter), std::move(origin));
  std::vector<Choice> active;
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckGeneration(name, expected_generation));
  PEFT_RETURN_IF_ERROR(CheckNotMerged({name}));
  PEFT_ASSIGN_OR_RETURN(std::vector<std::string> evicted,
                        Evictions({next.size_bytes, 1}, name, limit_));
  removed.adapters.reserve(evicted.size());
  active = active_;
  for (Choice& choice : active) {
    if (choice.name == name) choice.adapter = next.adapter;
  }
  Named* const named = Find(name);
  next.scale = named->scale;
  next.is_pinned = named->is_pinned;
  next.last_use = ++uses_;
  // The plan is made with the new one in its place among the loaded ones.
  std::swap(*named, next);
  absl::Cleanup undo = [&] { std::swap(*named, next); };
  if (IsActive(name)) {
    PEFT_ASSIGN_OR_RETURN(plan, NextPlan(active, merged_));
  } else if (next.scale != 1.0f) {
    PEFT_RETURN_IF_ERROR(MakePlan({{name, named->adapter}}, true).status());
  }
  std::move(undo).Cancel();
  if (plan != nullptr) Publish(plan);
  active_.swap(active);
  plans_.Forget(next.adapter->generation(), removed.plans);
  Evict(std::move(evicted), removed);
  return absl::OkStatus();
}

absl::Status AdapterRegistry::Rename(const std::string& name,
                                     const std::string& new_name) {
  PEFT_RETURN_IF_ERROR(CheckAdapterName(new_name));
  // Copies first, so that nothing can fail half-way.
  std::string loaded = new_name;
  std::string active = new_name;
  std::string merged = new_name;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  if (name == new_name) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(CheckFree(new_name));
  for (Choice& choice : active_) {
    if (choice.name == name) choice.name.swap(active);
  }
  for (Choice& choice : merged_.choices) {
    if (choice.name == name) choice.name.swap(merged);
  }
  Find(name)->name.swap(loaded);
  return absl::OkStatus();
}

absl::Status AdapterRegistry::SetScale(const std::string& name, float scale) {
  if (!std::isfinite(scale)) {
    return ArgumentError(absl::StrCat("the scale of adapter ", Quoted(name),
                                      " is ", scale,
                                      ", expected a finite number"));
  }
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  PEFT_RETURN_IF_ERROR(CheckNotMerged({name}));
  Named* const named = Find(name);
  const float before = std::exchange(named->scale, scale);
  absl::Cleanup undo = [&] { named->scale = before; };
  // By itself, which tells whether it can have the scale at all.
  PEFT_RETURN_IF_ERROR(MakePlan({{name, named->adapter}}, true).status());
  if (IsActive(name)) {
    PEFT_ASSIGN_OR_RETURN(plan, NextPlan(active_, merged_));
    Publish(plan);
  }
  std::move(undo).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<HeldPlan> AdapterRegistry::PlanOf(
    absl::Span<const std::string> names, absl::Span<const float> scales) {
  PEFT_RETURN_IF_ERROR(CheckDistinct(names));
  PEFT_RETURN_IF_ERROR(CheckScales(names, scales));
  HeldPlan held;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(const std::vector<Choice> choices,
                        Choose(names, scales));
  PEFT_ASSIGN_OR_RETURN(held.plan, MakePlan(choices, true));
  for (const Choice& choice : choices) {
    held.leases.push_back(Find(choice.name)->lease);
  }
  Touch(choices);
  return held;
}

absl::StatusOr<std::vector<std::shared_ptr<const Plan>>>
AdapterRegistry::PlansOfRows(absl::Span<const std::string> names) {
  std::unordered_map<std::string, std::shared_ptr<const Plan>> plans;
  std::vector<std::string> distinct;
  for (const std::string& name : names) {
    const bool is_new = plans.emplace(name, nullptr).second;
    if (is_new && name != kBaseName) distinct.push_back(name);
  }
  std::vector<std::shared_ptr<const Plan>> rows;
  rows.reserve(names.size());
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(const std::vector<Choice> choices,
                        Choose(distinct, {}));
  PEFT_RETURN_IF_ERROR(CheckRowsAllowed());
  for (const Choice& choice : choices) {
    PEFT_ASSIGN_OR_RETURN(plans[choice.name], MakePlan({choice}, enabled_));
  }
  if (plans.count(kBaseName) > 0) {
    PEFT_ASSIGN_OR_RETURN(plans[kBaseName], MakePlan({}, false));
  }
  Touch(choices);
  for (const std::string& name : names) rows.push_back(plans[name]);
  return rows;
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::BasePlan() {
  absl::MutexLock lock(&mutex_);
  return MakePlan({}, false);
}

}  // namespace peft
