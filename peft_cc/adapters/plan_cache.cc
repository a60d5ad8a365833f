#include "peft_cc/adapters/plan_cache.h"

#include <utility>

#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr size_t kMaxPlans = 32;

bool Holds(const Plan& plan, uint64_t generation) {
  for (const Activation::Entry& entry : plan.activation().entries) {
    if (entry.adapter->generation() == generation) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Plan>> PlanCache::Get(
    Activation activation, PlanContext context) {
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if ((*it)->overlay() != context.overlay.get()) continue;
    context.sibling = it->get();
    if (!(*it)->activation().SameAs(activation)) continue;
    plans_.splice(plans_.begin(), plans_, it);
    return plans_.front();
  }
  PEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan,
                        Plan::Create(*sites_, std::move(activation), context));
  plans_.push_front(plan);
  if (plans_.size() > kMaxPlans) plans_.pop_back();
  return plan;
}

void PlanCache::Forget(uint64_t generation,
                       std::list<std::shared_ptr<const Plan>>& out_dropped) {
  for (auto it = plans_.begin(); it != plans_.end();) {
    const auto next = std::next(it);
    if (Holds(**it, generation) || (*it)->activation().entries.size() > 1) {
      out_dropped.splice(out_dropped.end(), plans_, it);
    }
    it = next;
  }
}

void PlanCache::Forget(const BaseOverlay& overlay,
                       std::list<std::shared_ptr<const Plan>>& out_dropped) {
  for (auto it = plans_.begin(); it != plans_.end();) {
    const auto next = std::next(it);
    if ((*it)->overlay() == &overlay) {
      out_dropped.splice(out_dropped.end(), plans_, it);
    }
    it = next;
  }
}

}  // namespace peft
