// Base weights inside an adapter's file. PEFT saves the embedding and the head
// too when an adapter targets one of them (save_embedding_layers="auto" in
// utils/save_and_load.py), and when the vocabulary was resized.
#ifndef PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_
#define PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_

#include "absl/status/status.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/tensor_taker.h"

namespace peft {

// Settles every such weight: one with the base's values is a note in `report`
// and takes no memory. One with other values would replace the base's, which
// is UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED).
absl::Status SettleSavedBaseWeights(const SiteTable& sites, TensorTaker& taker,
                                    LoadReport& report);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SAVED_BASE_WEIGHTS_H_
