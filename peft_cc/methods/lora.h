// LoRA: y = Wx + b + s B(Ax), with its variants DoRA and aLoRA. Source: peft
// 0.21.2, tuners/lora/layer.py.
#ifndef PEFT_CC_METHODS_LORA_H_
#define PEFT_CC_METHODS_LORA_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/lora_ranks.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// What the adapter multiplies its product with: alpha / r, or alpha / sqrt(r)
// with use_rslora. INVALID_ARGUMENT (ADAPTER_CONFIG) when it is not a finite
// f32.
absl::StatusOr<float> LoraScale(const LoraConfig& config, const LoraRank& rank);

// The tensors that PEFT saves for a layer: lora_A.weight, lora_B.weight and
// with lora_bias lora_B.bias (out); of an embedding lora_embedding_A (r, rows)
// and lora_embedding_B (width, r). lora_factors.h has the shapes of others.
// With use_dora lora_magnitude_vector too, and with pissa and olora a rank that
// the layer may limit: see lora_variants.h. Fails as
// CheckLoraLayer and CheckLoraVariants.
absl::StatusOr<std::vector<TensorSpec>> LoraTensorSpecs(
    const LoraConfig& config, const LoraRank& rank, const Layer& layer);

// The forms of one layer, or of one expert of a parameter. `tensors` holds
// those of LoraTensorSpecs, already checked; an absent one acts as if it had
// never been trained. Fails as LowerMagnitude and LowerInit.
absl::StatusOr<SiteProgram> LowerLora(const LoraConfig& config,
                                      const LoraRank& rank, const Layer& layer,
                                      const LayerTensors& tensors,
                                      const LowerServices& services = {},
                                      int64_t expert = 0);

// LORA for the table of methods: the functions above with the ranks of
// rank_pattern and alpha_pattern.
absl::StatusOr<std::unique_ptr<Method>> MakeLora(
    const AdapterConfig& config, const std::string& model_type,
    std::vector<Layer> layers, std::vector<std::string>* out_notes);

}  // namespace peft

#endif  // PEFT_CC_METHODS_LORA_H_
