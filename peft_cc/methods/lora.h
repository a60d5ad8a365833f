// LoRA: y = Wx + b + s B(Ax). Source: peft 0.21.2, tuners/lora/layer.py.
#ifndef PEFT_CC_METHODS_LORA_H_
#define PEFT_CC_METHODS_LORA_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/methods/layer.h"

namespace peft {

// Rank and alpha of one layer, after the config's patterns.
struct LoraRank {
  int64_t r = 0;
  double alpha = 0;
};

// What the adapter multiplies its product with: alpha / r, or alpha / sqrt(r)
// with use_rslora. INVALID_ARGUMENT (ADAPTER_CONFIG) when it is not a finite
// f32.
absl::StatusOr<float> LoraScale(const LoraConfig& config, const LoraRank& rank);

// The tensors that PEFT saves for a layer: a linear one has lora_A.weight
// (r, in), lora_B.weight (out, r) and with lora_bias lora_B.bias (out); an
// embedding lora_embedding_A (r, rows) and lora_embedding_B (width, r).
// INVALID_ARGUMENT (ADAPTER_CONFIG) for lora_bias on an embedding, which PEFT
// refuses too.
absl::StatusOr<std::vector<TensorSpec>> LoraTensorSpecs(
    const LoraConfig& config, const LoraRank& rank, const LayerShape& layer);

// The forms of one layer. `tensors` holds those of LoraTensorSpecs, already
// checked; an absent one acts as zero.
absl::StatusOr<SiteProgram> LowerLora(const LoraConfig& config,
                                      const LoraRank& rank,
                                      const LayerShape& layer,
                                      const LayerTensors& tensors);

}  // namespace peft

#endif  // PEFT_CC_METHODS_LORA_H_
