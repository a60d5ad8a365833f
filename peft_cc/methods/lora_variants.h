// What LoRA's variants add to its factors: DoRA's magnitude, aLoRA's gate, and
// inits that changed the base. Source: peft 0.21.2, tuners/lora.
#ifndef PEFT_CC_METHODS_LORA_VARIANTS_H_
#define PEFT_CC_METHODS_LORA_VARIANTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// INVALID_ARGUMENT (ADAPTER_CONFIG) where PEFT has no such variant for this
// kind of layer; UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) for aLoRA with a
// bias of B.
absl::Status CheckLoraVariants(const LoraConfig& config, const Layer& layer);

// One number for each output; a convolution's has the axes of its weight.
std::vector<int64_t> ShapeOfMagnitude(const Layer& layer);

// DoRA, for `factors` (null: none) on what `init`, which LowerInit gives,
// leaves of the weight. A magnitude that is absent (null) is the norm of the
// weight itself, as before training. UNIMPLEMENTED
// (ADAPTER_FEATURE_UNSUPPORTED) where the layer has no weight.
absl::StatusOr<MagnitudeScale> LowerMagnitude(const Layer& layer,
                                              const SiteProgram& init,
                                              const LowRank* factors,
                                              const Tensor* magnitude,
                                              kernels::ThreadPool& pool);

// aLoRA's tokens; null without.
InvocationTokens GateOf(const LoraConfig& config);

// The rows of A that the init leaves. PiSSA and OLoRA slice their factors from
// a decomposition of the weight, which has no more than its smaller side;
// alpha is divided by `r` all the same.
int64_t RankOfInit(BaseChangingInit init, const Layer& layer, int64_t r);

// What the init took from the base: LowRank(A0, B0, -scale), where A0 and B0
// may be said to be the adapter's own `factors` (null: none); or nothing. PEFT
// does this on linear layers only; OLoRA gets a Conv1D's shapes wrong there, so
// that it is UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED), as is a layer without
// a weight.
absl::StatusOr<SiteProgram> LowerInit(BaseChangingInit init, const Layer& layer,
                                      int64_t r, float scale,
                                      const LowRank* factors);

}  // namespace peft

#endif  // PEFT_CC_METHODS_LORA_VARIANTS_H_
