// Where the vectors of all sites lie in a block of device memory.
#ifndef PEFT_CC_CUDA_FACTOR_LAYOUT_H_
#define PEFT_CC_CUDA_FACTOR_LAYOUT_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// Of one site, in bytes from the block's start, each a multiple of 256.
struct FactorOffsets {
  size_t in_scale = 0;       // f32, (in)
  size_t out_scale = 0;      // f32, (out)
  size_t bias = 0;           // f32, (out)
  size_t bias_change = 0;    // f32, (out): how far it is from the layer's own
  size_t bias_in_dtype = 0;  // (out)
};

// Immutable.
class FactorLayout {
 public:
  // `dtype` is that of y. Sites that are not linear have no vectors.
  FactorLayout(const SiteTable& sites, DType dtype);

  size_t bytes() const { return bytes_; }
  const FactorOffsets& at(int site) const { return offsets_[site]; }

  // Writes the vectors of a site under a plan to a block: where a factor is
  // none, 1, and 0 where there is no bias.
  void Fill(const Site& site, int index, const kernels::LinearPlan& plan,
            char* block) const;

 private:
  DType dtype_;
  size_t bytes_ = 0;
  std::vector<FactorOffsets> offsets_;
};

}  // namespace peft

#endif  // PEFT_CC_CUDA_FACTOR_LAYOUT_H_
