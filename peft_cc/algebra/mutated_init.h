// A trained adapter whose initialiser changed the base weight, as a plain LoRA
// for the unchanged base. Source: peft 0.21.2, `subtract_mutated_init` and
// `save_pretrained(path_initial_model_for_weight_conversion=...)`.
#ifndef PEFT_CC_ALGEBRA_MUTATED_INIT_H_
#define PEFT_CC_ALGEBRA_MUTATED_INIT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "peft_cc/algebra/lora_factors.h"

namespace peft {

// The adapter was trained on W - s B0 A0, so that W + s (B A - B0 A0) is meant:
// A* = [A; A0], B* = [B, -B0], with the same scale s. B's bias is kept.
// `initial` may be of lower rank than `trained`. INVALID_ARGUMENT (ARGUMENT)
// where shapes do not fit.
absl::StatusOr<LoraFactors> SubtractInitialFactors(const LoraFactors& trained,
                                                   const LoraFactors& initial);

// r and lora_alpha that give the doubled rank the scale of the given ones.
struct ConvertedConfig {
  int64_t r = 0;
  double lora_alpha = 0;
};

// r and alpha doubled; with rsLoRA, whose scale is alpha / sqrt(r), alpha times
// sqrt(2). PEFT refuses rsLoRA with rank or alpha patterns.
ConvertedConfig ConvertConfig(int64_t r, double lora_alpha, bool use_rslora);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_MUTATED_INIT_H_
