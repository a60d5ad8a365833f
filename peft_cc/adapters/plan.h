// Activations and plans: which adapters act, and what every site then runs.
#ifndef PEFT_CC_ADAPTERS_PLAN_H_
#define PEFT_CC_ADAPTERS_PLAN_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/base_overlay.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/site_stack.h"

namespace peft {

// A small value: the adapters that act, in order, each with the caller's
// scale. Empty = the base model. Effects add up, trained biases too: the sum of
// what each adds to the base's bias (PEFT refuses two adapters with biases).
struct Activation {
  // One adapter and the factor on all that it adds.
  struct Entry {
    std::shared_ptr<const Adapter> adapter;
    float scale = 1.0f;
    std::string name = {};  // for messages
  };
  std::vector<Entry> entries;

  // Equal for equal generations and scales in equal order. What a KV cache
  // remembers of who wrote it.
  bool SameAs(const Activation& other) const;
};

class Plan;

// What a plan depends on besides its activation.
struct PlanContext {
  // All loaded adapters in load order. Where active adapters of several methods
  // meet at a site they nest in this order, the first innermost, as the layers
  // of a PEFT that has loaded just them. Those of one method between which
  // there is no other follow each other in the activation's order. Adapters
  // that are not listed come last.
  absl::Span<const std::shared_ptr<const Adapter>> load_order = {};
  // Weights that stand for the base's, as after a merge; null: none.
  std::shared_ptr<const BaseOverlay> overlay = nullptr;
  // A plan for the same sites and overlay, to share what no adapter changes;
  // null: none.
  const Plan* sibling = nullptr;
};

// The weight and bias of a norm under a plan.
struct NormPlan {
  kernels::VectorView weight;
  kernels::VectorView bias;  // null: none
};

// What every site runs under one activation. Immutable, thread-safe; keeps the
// generations of its activation alive, and must not outlive the sites.
class Plan {
 public:
  // Folds biases and scales and lists the segments of every site: some
  // microseconds, and as a rule no element of a factor is read or copied. The
  // adapters must have been built for `sites`. INVALID_ARGUMENT (ADAPTER_SCALE)
  // for a scale other than 0 and 1 of an adapter that cannot be scaled;
  // FAILED_PRECONDITION (ADAPTER_CONFLICT) for adapters that cannot act
  // together.
  static absl::StatusOr<std::shared_ptr<const Plan>> Create(
      const SiteTable& sites, Activation activation,
      const PlanContext& context = {});

  // What the plan is for; compare with SameAs.
  const Activation& activation() const { return activation_; }
  // What stands for the base's weights; null: nothing.
  const BaseOverlay* overlay() const { return overlay_.get(); }
  // The plan of site `site` (an index into SiteTable::sites()), a linear layer
  // or an embedding (see kernels/embedding.h).
  const kernels::LinearPlan& linear(int site) const { return *linear_[site]; }
  // The weights of norm site `site`.
  const NormPlan& norm(int site) const { return *norms_[site]; }
  // The gates that the plan's segments name.
  const std::vector<InvocationTokens>& gates() const { return storage_.gates; }

 private:
  // What the sites run without adapters.
  struct Base {
    std::vector<kernels::LinearPlan> linear;  // one per site
    std::vector<NormPlan> norms;              // one per site
  };

  Plan(const SiteTable& sites, Activation activation,
       const PlanContext& context);

  static std::shared_ptr<const Base> MakeBase(const SiteTable& sites,
                                              const BaseOverlay* overlay);

  absl::Status AddPrograms(const SiteTable& sites, const PlanContext& context);
  absl::Status AddSite(const SiteTable& sites, int site,
                       const PlanContext& context);

  Activation activation_;
  std::shared_ptr<const BaseOverlay> overlay_;
  std::shared_ptr<const Base> base_;
  // Of the changed sites; never moved.
  std::vector<kernels::LinearPlan> own_linear_;
  std::deque<NormPlan> own_norms_;
  // For each site one of `own_*` or of `base_`.
  std::vector<const kernels::LinearPlan*> linear_;
  std::vector<const NormPlan*> norms_;
  PlanStorage storage_;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_PLAN_H_
