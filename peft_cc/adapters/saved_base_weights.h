// Base weights inside an adapter's file. PEFT saves the embedding and the head
// too when an adapter targets one of them (save_embedding_layers="auto" in
// utils/save_and_load.py), and when the vocabulary was resized.
#ifndef PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_
#define PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/tensor_taker.h"
#include "peft_cc/methods/forms.h"

namespace peft {

// The sites whose weight is in the file as that of a layer which the adapter
// wraps: as the adapter's init left it, where that changed the base. Comes
// before these are settled.
std::vector<int> SitesOfWrappedWeights(const SiteTable& sites,
                                       const TensorTaker& taker);

// Settles every such weight: one with the base's values is a note in `report`
// and takes no memory. PEFT loads others into the base; here they are the
// adapter's own: `programs` replaces the weight, and that of heads tied to it
// which the file has not. UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) for one
// of another shape, and for one of a layer that `programs` replaces already.
absl::Status SettleSavedBaseWeights(const SiteTable& sites, TensorTaker& taker,
                                    LoadReport& report,
                                    std::map<int, SiteProgram>& programs);

// Settles the biases that PEFT saved with such weights, where they have the
// base's values; others stay tensors that nothing uses. Comes after trained
// biases are taken, which may have the base's values too.
void SettleSavedBaseBiases(const SiteTable& sites, TensorTaker& taker,
                           LoadReport& report);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_
