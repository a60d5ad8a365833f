// Weights that stand for those of the base model, as after a merge. The base's
// own are never written: dropping the overlay gives them back, bit by bit.
#ifndef PEFT_CC_ADAPTERS_BASE_OVERLAY_H_
#define PEFT_CC_ADAPTERS_BASE_OVERLAY_H_

#include <unordered_map>

#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Immutable once it is shared.
struct BaseOverlay {
  // A site's tensors in the layout of its own.
  struct Weights {
    Tensor weight;
    Tensor bias;  // unspecified dtype: none
  };
  std::unordered_map<int, Weights> sites;  // by index into SiteTable::sites()
};

// The weight and bias that site `index` has under `overlay` (may be null).
inline BaseOverlay::Weights WeightsOf(const SiteTable& sites, int index,
                                      const BaseOverlay* overlay) {
  if (overlay != nullptr) {
    const auto found = overlay->sites.find(index);
    if (found != overlay->sites.end()) return found->second;
  }
  const Site& site = sites.sites()[index];
  return {site.weight, site.bias};
}

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_BASE_OVERLAY_H_
