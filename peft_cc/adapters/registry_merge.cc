// Merging and unmerging of a model's adapters.
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/registry_errors.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

bool Replaces(const SiteProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    return std::holds_alternative<peft::Replace>(form) ||
           std::holds_alternative<ReplaceRows>(form);
  });
}

// True for what acts on the layer's own bias, which a merged weight no longer
// tells from what others have made of it.
bool NeedsOwnBias(const SiteProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    const auto* const bias = std::get_if<Bias>(&form);
    return std::holds_alternative<MagnitudeScale>(form) ||
           (bias != nullptr && bias->of_base);
  });
}

// True for what makes something else of that bias.
bool HidesOwnBias(const SiteProgram& program, bool has_bias) {
  return std::any_of(program.begin(), program.end(), [&](const Form& form) {
    const auto* const scale = std::get_if<ScaleOut>(&form);
    const auto* const bias = std::get_if<Bias>(&form);
    return (scale != nullptr && scale->with_bias && has_bias) ||
           (bias != nullptr && !bias->of_base);
  });
}

absl::Status OnTopError(const std::string& name, absl::string_view verb,
                        const std::string& site) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kAdapterConflict,
      absl::StrCat("adapter ", Quoted(name), " ", verb, " of ", Quoted(site),
                   ", where others are merged; merge it too, or unmerge"),
      {site, "", ""});
}

absl::Status MergedError(const std::string& name, absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kMerged,
      absl::StrCat("adapter ", Quoted(name), " is merged into the weights",
                   problem, "; unmerge first"),
      {name, "", ""});
}

absl::Status NothingToMerge() {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   error_id::kAdapterNotFound,
                   "no adapter is active; name those to merge, or activate "
                   "them");
}

}  // namespace

bool AdapterRegistry::Merged::Has(const std::string& name) const {
  return std::any_of(choices.begin(), choices.end(),
                     [&](const Choice& choice) { return choice.name == name; });
}

absl::Status AdapterRegistry::CheckOnTop(const Choice& choice,
                                         const Merged& merged) const {
  for (const Adapter::SiteEntry& entry : choice.adapter->entries()) {
    if (merged.overlay->sites.count(entry.site) == 0) continue;
    const Site& site = sites_->sites()[entry.site];
    // It would take away what is merged.
    if (Replaces(entry.program)) {
      return OnTopError(choice.name, "replaces weights", site.name);
    }
    if (!NeedsOwnBias(entry.program)) continue;
    for (const Choice& below : merged.choices) {
      const SiteProgram* const program = below.adapter->FindProgram(entry.site);
      if (program != nullptr && HidesOwnBias(*program, site.has_bias())) {
        return OnTopError(choice.name, "acts on the bias", site.name);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::EnabledPlan(
    const std::vector<Choice>& active, const Merged& merged) {
  if (merged.overlay == nullptr) return MakePlan(active, true);
  std::vector<Choice> on_top;
  for (const Choice& choice : active) {
    if (merged.Has(choice.name)) continue;
    PEFT_RETURN_IF_ERROR(CheckOnTop(choice, merged));
    on_top.push_back(choice);
  }
  return MakePlan(on_top, true, merged.overlay);
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::NextPlan(
    const std::vector<Choice>& active, const Merged& merged) {
  absl::StatusOr<std::shared_ptr<const Plan>> plan =
      EnabledPlan(active, merged);
  if (plan.ok() && !enabled_) return MakePlan({}, false);
  return plan;
}

void AdapterRegistry::Drop(Merged& merged, Removed& out_removed) {
  for (const auto* overlay : {&merged.overlay, &merged.originals}) {
    if (*overlay != nullptr) plans_.Forget(**overlay, out_removed.plans);
  }
  std::swap(merged, out_removed.merged);
}

void AdapterRegistry::ExchangePlaced(Merged* other) {
  merged_.placed.Exchange();
  std::swap(merged_, *other);
  merged_.placed.Exchange();
}

AdapterRegistry::Merged AdapterRegistry::TakeBackPlaced() {
  Merged taken;
  if (!merged_.placed.empty()) ExchangePlaced(&taken);
  return taken;
}

void AdapterRegistry::PutBackPlaced(Merged* taken) {
  if (taken->overlay != nullptr) ExchangePlaced(taken);
}

bool AdapterRegistry::IsMergedInPlace() const {
  absl::ReaderMutexLock lock(&mutex_);
  return merged_.originals != nullptr;
}

absl::Status AdapterRegistry::CheckNotMerged(
    absl::Span<const std::string> names) const {
  for (const std::string& name : names) {
    if (merged_.Has(name)) return MergedError(name, "");
  }
  return absl::OkStatus();
}

absl::Status AdapterRegistry::CheckRowsAllowed() const {
  if (!enabled_ || merged_.overlay == nullptr) return absl::OkStatus();
  return MergedError(merged_.choices.front().name,
                     ", which all rows of a batch share");
}

absl::Status AdapterRegistry::CheckNotMerged() const {
  absl::ReaderMutexLock lock(&mutex_);
  return CheckRowsAllowed();
}

float AdapterRegistry::MergeScale(const std::string& name,
                                  absl::Span<const float> scales,
                                  size_t i) const {
  if (!scales.empty()) return scales[i];
  for (const auto* choices : {&merged_.choices, &active_}) {
    for (const Choice& choice : *choices) {
      if (choice.name == name) return choice.scale;
    }
  }
  return 1.0f;
}

absl::StatusOr<std::vector<AdapterRegistry::Choice>>
AdapterRegistry::ChooseMerged(absl::Span<const std::string> names,
                              absl::Span<const float> scales) const {
  PEFT_RETURN_IF_ERROR(CheckKnown(names));
  std::vector<Choice> choices = merged_.choices;
  for (const Choice& choice : active_) {
    if (names.empty() && !merged_.Has(choice.name)) choices.push_back(choice);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const float scale = MergeScale(names[i], scales, i);
    if (!merged_.Has(names[i])) {
      choices.push_back({names[i], Find(names[i])->adapter, scale});
    } else if (scale != MergeScale(names[i], {}, i)) {
      return MergedError(names[i], " with another scale");
    }
  }
  if (choices.empty()) return NothingToMerge();
  return choices;
}

std::vector<std::shared_ptr<const Adapter>> AdapterRegistry::NestingOf(
    const std::vector<Choice>& choices) const {
  std::vector<std::shared_ptr<const Adapter>> nesting = merged_.nesting;
  for (const Named& named : adapters_) {
    const bool is_chosen =
        std::any_of(choices.begin(), choices.end(), [&](const Choice& choice) {
          return choice.adapter == named.adapter && !merged_.Has(choice.name);
        });
    if (is_chosen) nesting.push_back(named.adapter);
  }
  return nesting;
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::MakeMergePlan(
    const std::vector<Choice>& choices,
    const std::vector<std::shared_ptr<const Adapter>>& nesting) const {
  return Plan::Create(*sites_, ActivationOf(choices),
                      {nesting, merged_.originals});
}

absl::StatusOr<std::vector<std::string>> AdapterRegistry::Merge(
    absl::Span<const std::string> names, absl::Span<const float> scales,
    const MergeAdapterOptions& options, kernels::ThreadPool& pool) {
  PEFT_RETURN_IF_ERROR(CheckDistinct(names));
  PEFT_RETURN_IF_ERROR(CheckScales(names, scales));
  Removed removed;
  Merged next;
  std::shared_ptr<const Plan> source;  // of next.overlay
  for (;;) {
    std::shared_ptr<const Plan> wanted;
    {
      absl::MutexLock lock(&mutex_);
      PEFT_ASSIGN_OR_RETURN(next.choices, ChooseMerged(names, scales));
      if (next.choices.size() == merged_.choices.size()) {
        return std::vector<std::string>();
      }
      auto nesting = NestingOf(next.choices);
      PEFT_ASSIGN_OR_RETURN(wanted, MakeMergePlan(next.choices, nesting));
      if (source != nullptr && nesting == next.nesting &&
          source->activation().SameAs(wanted->activation())) {
        return SetMerged(std::move(next), removed);
      }
      next.nesting = std::move(nesting);
    }
    source = std::move(wanted);
    const PoolCheck pool_check(pool);
    PEFT_ASSIGN_OR_RETURN(next.overlay,
                          MergePlan(*sites_, *source, options, pool));
    PEFT_RETURN_IF_ERROR(pool_check.status());
  }
}

absl::StatusOr<std::vector<std::string>> AdapterRegistry::SetMerged(
    Merged next, Removed& out_removed) {
  std::vector<std::string> added;
  for (size_t i = merged_.choices.size(); i < next.choices.size(); ++i) {
    added.push_back(next.choices[i].name);
  }
  PEFT_ASSIGN_OR_RETURN(Placement placement,
                        PlaceWeights(*sites_, std::move(next.overlay)));
  next.overlay = std::move(placement.overlay);
  next.originals = std::move(placement.originals);
  next.placed = std::move(placement.placed);
  out_removed.plans.emplace_back();
  // Plans read biases where they lie.
  ExchangePlaced(&next);
  absl::Cleanup undo = [&] { ExchangePlaced(&next); };
  PEFT_ASSIGN_OR_RETURN(out_removed.plans.back(), NextPlan(active_, merged_));
  std::move(undo).Cancel();
  Publish(out_removed.plans.back());
  Drop(next, out_removed);
  return added;
}

bool AdapterRegistry::Unmerge() {
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  if (merged_.overlay == nullptr) return false;
  Merged taken = TakeBackPlaced();
  absl::Cleanup undo = [&] { PutBackPlaced(&taken); };
  // The active ones acted together before the merge: this cannot fail.
  plan = *NextPlan(active_, {});
  std::move(undo).Cancel();
  Drop(taken.overlay != nullptr ? taken : merged_, removed);
  Publish(plan);
  return true;
}

void AdapterRegistry::Clear() {
  std::vector<Choice> active;
  Removed removed;
  std::shared_ptr<const Plan> plan;
  absl::MutexLock lock(&mutex_);
  const std::vector<std::string> names = LoadedNames();
  removed.adapters.reserve(names.size());
  Merged taken = TakeBackPlaced();
  absl::Cleanup undo = [&] { PutBackPlaced(&taken); };
  plan = *MakePlan({}, false);
  std::move(undo).Cancel();
  Drop(taken.overlay != nullptr ? taken : merged_, removed);
  active_.swap(active);
  Publish(plan);
  Remove(names, removed);
}

std::vector<std::string> AdapterRegistry::MergedNames() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const Choice& choice : merged_.choices) names.push_back(choice.name);
  return names;
}

absl::StatusOr<std::shared_ptr<const Plan>> AdapterRegistry::PlanForMerge(
    absl::Span<const std::string> names, absl::Span<const float> scales) const {
  PEFT_RETURN_IF_ERROR(CheckDistinct(names));
  PEFT_RETURN_IF_ERROR(CheckScales(names, scales));
  std::vector<Choice> choices;
  absl::ReaderMutexLock lock(&mutex_);
  if (names.empty()) {
    PEFT_ASSIGN_OR_RETURN(choices, ChooseMerged(names, scales));
  } else {
    PEFT_ASSIGN_OR_RETURN(choices, Choose(names, scales));
    for (size_t i = 0; i < names.size(); ++i) {
      choices[i].scale = MergeScale(names[i], scales, i);
    }
  }
  return MakeMergePlan(choices, NestingOf(choices));
}

}  // namespace peft
