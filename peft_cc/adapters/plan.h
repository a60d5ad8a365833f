// Activations and plans: which adapters act, and what every site then runs.
#ifndef PEFT_CC_ADAPTERS_PLAN_H_
#define PEFT_CC_ADAPTERS_PLAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "kernels/linear.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// A small value: the adapters that act, in order, each with the caller's
// scale. Empty = the base model. Effects add up, trained biases too: the sum of
// what each adds to the base's bias (PEFT refuses two adapters with biases).
struct Activation {
  // One adapter and the factor on all that it adds.
  struct Entry {
    std::shared_ptr<const Adapter> adapter;
    float scale = 1.0f;
  };
  std::vector<Entry> entries;

  // Equal for equal generations and scales in equal order. What a KV cache
  // remembers of who wrote it.
  bool SameAs(const Activation& other) const;
};

// What every site runs under one activation. Immutable, thread-safe; keeps the
// generations of its activation alive, and must not outlive the sites.
class Plan {
 public:
  // Folds biases and scales and lists the segments of every site: some
  // microseconds, and no element of a factor is read or copied. The adapters
  // must have been built for `sites`.
  static std::shared_ptr<const Plan> Create(const SiteTable& sites,
                                            Activation activation);

  // What the plan is for; compare with SameAs.
  const Activation& activation() const { return activation_; }
  // The plan of linear site `site` (an index into SiteTable::sites()).
  const kernels::LinearPlan& linear(int site) const { return linear_[site]; }
  // The low-rank terms of embedding site `site`: A is (r, rows), B (width, r),
  // p[t] += s * A[:, id]^T B^T.
  const std::vector<kernels::LowRankSegment>& embedding(int site) const {
    return linear_[site].low_rank;
  }

 private:
  Plan(const SiteTable& sites, Activation activation);

  void AddProgram(const SiteTable& sites, const Adapter::SiteEntry& entry,
                  float scale);
  // The bias of site `index` as far as it is folded, at first the base's.
  std::vector<float>& FoldedBias(const Site& site, int index);

  Activation activation_;
  std::vector<kernels::LinearPlan> linear_;  // one per site
  // Biases that adapters change, by site; linear_ points into them (a vector's
  // elements stay where they are when the map grows).
  std::map<int, std::vector<float>> biases_;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_PLAN_H_
