// What adapters do at a layer, as a list that a program can run itself.
#ifndef PEFT_CC_ADAPTERS_LOWERED_LAYER_H_
#define PEFT_CC_ADAPTERS_LOWERED_LAYER_H_

#include <cstdint>
#include <vector>

#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// A step of what a layer computes; docs/lowered.md has the formulas. The
// numbers are those of peft_c.h.
struct LoweredForm {
  enum Kind : int32_t {
    kScaleIn = 1,
    kWeight,
    kRows,
    kLowRank,
    kScaleOut,
    kBias,
  };
  enum Part : int32_t {
    kPartA = 1,
    kPartB,
    kPartRankScale,
    kPartGate,
    kPartFactor,
    kPartWeight,
    kPartIds,
    kPartRows,
    kPartBias,
  };

  // Contiguous elements, which the plan, or the site, keeps alive.
  struct Array {
    Part part;
    DType dtype;
    std::vector<int64_t> sizes;
    const void* data;
  };

  Kind kind;
  float scale = 1.0f;
  std::vector<Array> arrays = {};

  // Null where the form has no such part.
  const Array* Find(int32_t part) const;
};

// What `plan` does at site `index` besides running the site's own weight and
// bias; empty: nothing.
std::vector<LoweredForm> LowerLayer(const SiteTable& sites, int index,
                                    const Plan& plan);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_LOWERED_LAYER_H_
