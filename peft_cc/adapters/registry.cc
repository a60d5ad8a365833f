#include "peft_cc/adapters/registry.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// PEFT's name for "no adapter" among the names of a mixed batch.
constexpr char kBaseName[] = "__base__";

absl::Status CheckName(const std::string& name) {
  if (!name.empty() && name != kBaseName) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterName,
      absl::StrCat("an adapter cannot be named ", Quoted(name),
                   name.empty() ? "" : ", which means the base model"),
      {name, "", ""});
}

std::string QuotedList(absl::Span<const std::string> names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const auto& name) {
    absl::StrAppend(out, Quoted(name));
  });
}

absl::Status NotFoundError(absl::Span<const std::string> unknown,
                           absl::Span<const std::string> known) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kAdapterNotFound,
      absl::StrCat("no adapter ", QuotedList(unknown), "; loaded are: ",
                   known.empty() ? "none" : QuotedList(known)),
      {unknown.front(), known.empty() ? "" : QuotedList(known), ""});
}

// Quadratic, over the few adapters that a caller can name.
absl::Status CheckDistinct(absl::Span<const std::string> names) {
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (names[i] != names[j]) continue;
      return ArgumentError(
          absl::StrCat("adapter ", Quoted(names[i]), " is given twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScales(absl::Span<const std::string> names,
                         absl::Span<const float> scales) {
  if (scales.empty()) return absl::OkStatus();
  if (scales.size() != names.size()) {
    return ArgumentError(absl::StrCat(scales.size(), " scales for ",
                                      names.size(),
                                      " adapters; give one each, or none"));
  }
  for (size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i])) continue;
    return ArgumentError(absl::StrCat("the scale of adapter ", Quoted(names[i]),
                                      " is ", scales[i],
                                      ", expected a finite number"));
  }
  return absl::OkStatus();
}

bool Contains(absl::Span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

AdapterRegistry::AdapterRegistry(const SiteTable* sites)
    : plans_(sites), plan_(*Plan::Create(*sites, {})) {}

absl::Status AdapterRegistry::Reserve(const std::string& name) {
  PEFT_RETURN_IF_ERROR(CheckName(name));
  absl::MutexLock lock(&mutex_);
  for (const Named& named : adapters_) {
    if (named.name != name) continue;
    return MakeError(absl::StatusCode::kAlreadyExists, error_id::kAdapterExists,
                     absl::StrCat("adapter ", Quoted(name), " exists already",
                                  named.adapter ? "" : " (it is being loaded)",
                                  "; delete it or choose another name"),
                     {name, "", ""});
  }
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
                                  std::shared_ptr<const Adapter> adapter) {
  std::vector<Choice> active = {{name, adapter, 1.0f}};
  Named added = {name, std::move(adapter)};
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(plan, MakePlan(active, enabled_));
  adapters_.reserve(adapters_.size() + 1);
  // Behind what other threads finished loading since the reservation.
  adapters_.erase(
      std::remove_if(adapters_.begin(), adapters_.end(),
                     [&](const Named& named) { return named.name == name; }),
      adapters_.end());
  adapters_.push_back(std::move(added));
  active_.swap(active);
  plan_.swap(plan);
  return absl::OkStatus();
}

absl::Status AdapterRegistry::SetActive(absl::Span<const std::string> names,
                                        absl::Span<const float> scales) {
  PEFT_RETURN_IF_ERROR(CheckDistinct(names));
  PEFT_RETURN_IF_ERROR(CheckScales(names, scales));
  std::vector<Choice> active;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown(names));
  for (size_t i = 0; i < names.size(); ++i) {
    active.push_back(
        {names[i], Find(names[i])->adapter, scales.empty() ? 1.0f : scales[i]});
  }
  PEFT_ASSIGN_OR_RETURN(plan, MakePlan(active, enabled_));
  active_.swap(active);
  plan_.swap(plan);
  return absl::OkStatus();
}

void AdapterRegistry::SetEnabled(bool enabled) {
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  if (enabled_ == enabled) return;
  // What is active was planned when it was set: this cannot fail.
  plan = *MakePlan(active_, enabled);
  enabled_ = enabled;
  plan_.swap(plan);
}

bool AdapterRegistry::enabled() const {
  absl::ReaderMutexLock lock(&mutex_);
  return enabled_;
}

absl::Status AdapterRegistry::Delete(absl::Span<const std::string> names) {
  std::vector<Named> deleted;
  std::vector<Choice> active;
  std::list<std::shared_ptr<const Plan>> dropped;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown(names));
  deleted.reserve(names.size());
  for (const Choice& choice : active_) {
    if (!Contains(names, choice.name)) active.push_back(choice);
  }
  if (active.size() != active_.size()) {
    PEFT_ASSIGN_OR_RETURN(plan, MakePlan(active, enabled_));
    active_.swap(active);
    plan_.swap(plan);
  }
  const auto keep_adapter = [&](const Named& named) {
    return named.adapter == nullptr || !Contains(names, named.name);
  };
  const auto first =
      std::stable_partition(adapters_.begin(), adapters_.end(), keep_adapter);
  std::move(first, adapters_.end(), std::back_inserter(deleted));
  for (const Named& named : deleted) {
    plans_.Forget(named.adapter->generation(), dropped);
  }
  adapters_.erase(first, adapters_.end());
  return absl::OkStatus();
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

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::MakePlan(
    const std::vector<Choice>& active, bool enabled) {
  Activation activation;
  std::vector<std::shared_ptr<const Adapter>> load_order;
  if (enabled) {
    for (const Choice& choice : active) {
      activation.entries.push_back({choice.adapter, choice.scale, choice.name});
    }
  }
  if (activation.entries.size() > 1) {
    for (const Named& named : adapters_) {
      if (named.adapter != nullptr) load_order.push_back(named.adapter);
    }
  }
  return plans_.Get(std::move(activation), {load_order, nullptr});
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
    if (Find(name) == nullptr) unknown.push_back(name);
  }
  if (unknown.empty()) return absl::OkStatus();
  return NotFoundError(unknown, LoadedNames());
}

}  // namespace peft
