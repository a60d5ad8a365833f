// Compiles what the active adapters do at one site, a stack of programs, to the
// plan that kernels run.
#ifndef PEFT_CC_ADAPTERS_SITE_STACK_H_
#define PEFT_CC_ADAPTERS_SITE_STACK_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/linear_plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What a plan owns besides its adapters: folded vectors and factors. Elements
// stay where they are when it grows.
struct PlanStorage {
  std::deque<std::vector<float>> vectors;
  std::deque<std::vector<int64_t>> ids;
  std::deque<Tensor> tensors;
  // The distinct gates of the plan, by LowRankSegment::gate.
  std::vector<InvocationTokens> gates;
};

// A view of all elements of `tensor`, null for the tensor that is none.
kernels::VectorView VectorOf(const Tensor& tensor);

// The plan of `site` without adapters: views of `weight` and `bias`, which are
// the site's own or what stands for them.
kernels::LinearPlan BasePlan(const Site& site, const Tensor& weight,
                             const Tensor& bias);

// Thread-compatible, for one site and one plan.
class SiteStack {
 public:
  // All must outlive the stack; `plan` holds the base plan of the site.
  SiteStack(const Site& site, kernels::LinearPlan& plan, PlanStorage& storage)
      : site_(site), plan_(plan), storage_(storage) {}

  // Puts the program of adapter `name` around what is there, with the caller's
  // factor `scale`. With factor 0 a program is left out, but for one with a
  // MagnitudeScale, which then still divides by the norm of the base. The
  // program must outlive the plan.
  // FAILED_PRECONDITION (ADAPTER_CONFLICT) where it cannot act together with
  // what is there: two replacements of one weight, or of one row, and a
  // replaced weight under the norm of another.
  absl::Status Add(const SiteProgram& program, float scale,
                   absl::string_view name);

 private:
  void AddForm(const LowRank& form, float scale);
  void AddForm(const Bias& form, float scale);
  void AddForm(const ScaleIn& form, float scale);
  void AddForm(const ScaleOut& form, float scale);
  void AddForm(const MagnitudeScale& form, float scale);
  void AddForm(const Replace& form, float scale);
  void AddForm(const ReplaceRows& form, float scale);

  absl::Status CheckConflicts(const SiteProgram& program,
                              absl::string_view name) const;
  absl::Status Conflict(absl::string_view name, absl::string_view why) const;
  // The stage that terms are added to: a new one where the last is closed.
  kernels::LinearStage& OpenStage();
  // `factor` must outlive the plan.
  void MultiplyOutputs(const kernels::VectorView& factor);
  // Adds to the layer's own bias, inside of what is there.
  void AddToOwnBias(float scale, const std::vector<float>& delta);
  // The bias as far as it is folded, at first the base's.
  std::vector<float>& FoldedBias();
  kernels::VectorView Keep(std::vector<float> values);
  // Of two factors; the first may be none.
  kernels::VectorView Product(const kernels::VectorView& a,
                              const kernels::VectorView& b);
  int GateIndex(const InvocationTokens& tokens);

  const Site& site_;
  kernels::LinearPlan& plan_;
  PlanStorage& storage_;
  std::vector<float>* bias_ = nullptr;  // in storage_, once it is folded
  // Once it is folded: the layer's own bias, with what adapters have trained of
  // it, and how much of a change of that reaches *bias_; empty: all of it.
  std::vector<float> own_bias_;
  std::vector<float> own_bias_gain_;
  bool is_replaced_ = false;
  bool has_magnitude_ = false;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SITE_STACK_H_
