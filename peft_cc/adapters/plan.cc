#include "peft_cc/adapters/plan.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// One active adapter's part at a site.
struct Member {
  const Activation::Entry* entry;
  const SiteProgram* program;
  size_t loaded;       // its place in the load order
  size_t nesting = 0;  // 0: innermost
};

const std::string& MethodOf(const Member& member) {
  return member.entry->adapter->config().base.peft_type;
}

size_t PlaceOf(const Adapter* adapter, const PlanContext& context) {
  const auto& order = context.load_order;
  const auto found =
      std::find_if(order.begin(), order.end(),
                   [&](const auto& loaded) { return loaded.get() == adapter; });
  return found - order.begin();
}

// False where all that the program does is done to the layer itself: it has no
// place among the methods around it.
bool IsAround(const SiteProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    const auto* const bias = std::get_if<Bias>(&form);
    return !std::holds_alternative<Replace>(form) &&
           !std::holds_alternative<ReplaceRows>(form) &&
           (bias == nullptr || !bias->of_base);
  });
}

// An adapter joins the outermost layer that is there when it is loaded, if that
// is of its own method, and else goes around it.
void Nest(std::vector<Member>& members) {
  if (members.size() < 2) return;
  std::vector<Member*> loaded;
  for (Member& member : members) {
    if (IsAround(*member.program)) loaded.push_back(&member);
  }
  std::stable_sort(
      loaded.begin(), loaded.end(),
      [](const Member* a, const Member* b) { return a->loaded < b->loaded; });
  for (size_t i = 1; i < loaded.size(); ++i) {
    const bool joins = MethodOf(*loaded[i]) == MethodOf(*loaded[i - 1]);
    loaded[i]->nesting = loaded[i - 1]->nesting + (joins ? 0 : 1);
  }
  std::stable_sort(
      members.begin(), members.end(),
      [](const Member& a, const Member& b) { return a.nesting < b.nesting; });
}

// What stands for the weight of a norm whose own is `weight`.
kernels::VectorView NormWeight(const std::vector<Member>& members,
                               kernels::VectorView weight) {
  for (const Member& member : members) {
    if (member.entry->scale == 0) continue;
    for (const Form& form : *member.program) {
      const auto* const replace = std::get_if<Replace>(&form);
      if (replace != nullptr) weight = VectorOf(replace->weight);
    }
  }
  return weight;
}

absl::Status CheckScale(const Activation::Entry& entry) {
  if (entry.scale == 0 || entry.scale == 1) return absl::OkStatus();
  for (const Adapter::SiteEntry& site : entry.adapter->entries()) {
    if (IsScalable(site.program)) continue;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kAdapterScale,
        absl::StrCat("adapter ", Quoted(entry.name),
                     " has no scale other than "
                     "1, or 0 to leave it out, because it does not only add "
                     "(",
                     entry.adapter->config().base.peft_type,
                     ", or a module that it replaces)"),
        {entry.name, "0 or 1", absl::StrCat(entry.scale)});
  }
  return absl::OkStatus();
}

}  // namespace

bool Activation::SameAs(const Activation& other) const {
  if (entries.size() != other.entries.size()) return false;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& mine = entries[i];
    const Entry& theirs = other.entries[i];
    if (mine.scale != theirs.scale) return false;
    if (mine.adapter->generation() != theirs.adapter->generation()) {
      return false;
    }
  }
  return true;
}

std::shared_ptr<const Plan::Base> Plan::MakeBase(const SiteTable& sites,
                                                 const BaseOverlay* overlay) {
  const auto base = std::make_shared<Base>();
  const size_t count = sites.sites().size();
  base->linear.reserve(count);
  base->norms.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Site& site = sites.sites()[i];
    const BaseOverlay::Weights weights =
        WeightsOf(sites, static_cast<int>(i), overlay);
    base->linear.push_back(BasePlan(site, weights.weight, weights.bias));
    if (site.kind != SiteKind::kNorm) continue;
    base->norms[i] = {VectorOf(weights.weight), VectorOf(weights.bias)};
  }
  return base;
}

Plan::Plan(const SiteTable& sites, Activation activation,
           const PlanContext& context)
    : activation_(std::move(activation)),
      overlay_(context.overlay),
      base_(context.sibling != nullptr ? context.sibling->base_
                                       : MakeBase(sites, overlay_.get())) {
  for (const kernels::LinearPlan& linear : base_->linear) {
    linear_.push_back(&linear);
  }
  for (const NormPlan& norm : base_->norms) norms_.push_back(&norm);
}

absl::StatusOr<std::shared_ptr<const Plan>> Plan::Create(
    const SiteTable& sites, Activation activation, const PlanContext& context) {
  for (const Activation::Entry& entry : activation.entries) {
    PEFT_RETURN_IF_ERROR(CheckScale(entry));
  }
  std::shared_ptr<Plan> plan(new Plan(sites, std::move(activation), context));
  PEFT_RETURN_IF_ERROR(plan->AddPrograms(sites, context));
  return std::shared_ptr<const Plan>(std::move(plan));
}

// Every site that some adapter changes, in module order.
absl::Status Plan::AddPrograms(const SiteTable& sites,
                               const PlanContext& context) {
  std::vector<int> changed;
  for (const Activation::Entry& entry : activation_.entries) {
    for (const Adapter::SiteEntry& site : entry.adapter->entries()) {
      changed.push_back(site.site);
    }
  }
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  own_linear_.reserve(changed.size());
  for (const int site : changed) {
    PEFT_RETURN_IF_ERROR(AddSite(sites, site, context));
  }
  return absl::OkStatus();
}

absl::Status Plan::AddSite(const SiteTable& sites, int site,
                           const PlanContext& context) {
  std::vector<Member> members;
  for (const Activation::Entry& entry : activation_.entries) {
    const SiteProgram* const program = entry.adapter->FindProgram(site);
    if (program == nullptr) continue;
    members.push_back({&entry, program, PlaceOf(entry.adapter.get(), context)});
  }
  Nest(members);
  kernels::LinearPlan& linear = own_linear_.emplace_back(*linear_[site]);
  linear_[site] = &linear;
  SiteStack stack(sites.sites()[site], linear, storage_);
  for (const Member& member : members) {
    PEFT_RETURN_IF_ERROR(
        stack.Add(*member.program, member.entry->scale, member.entry->name));
  }
  if (sites.sites()[site].kind != SiteKind::kNorm) return absl::OkStatus();
  // The stack folds the biases of norms as those of layers.
  own_norms_.push_back(
      {NormWeight(members, norms_[site]->weight), linear.bias});
  norms_[site] = &own_norms_.back();
  return absl::OkStatus();
}

}  // namespace peft
