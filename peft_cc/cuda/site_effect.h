// What a plan does at a site, as far as a CUDA device computes it.
#ifndef PEFT_CC_CUDA_SITE_EFFECT_H_
#define PEFT_CC_CUDA_SITE_EFFECT_H_

#include <cstdint>
#include <vector>

#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The layers whose forward is a product with one matrix.
bool IsLinear(SiteKind kind);

// Beside low-rank terms, as bits.
using EffectBits = uint8_t;
constexpr EffectBits kScalesInput = 1;
constexpr EffectBits kScalesOutput = 2;
constexpr EffectBits kChangesBias = 4;

struct SiteEffect {
  EffectBits bits = 0;
  // Some term of low rank is not 0.
  bool has_terms = false;
  // Why the device cannot compute it, for a sentence "layer x: ...". Null: it
  // can.
  const char* unsupported = nullptr;
};

// What a plan does at all sites.
struct PlanEffects {
  std::vector<const Adapter*> adapters;  // of its activation, each once
  std::vector<SiteEffect> sites;
  // Of each adapter, for each site: the factor of its low-rank term.
  std::vector<std::vector<float>> scales;
  // Of all sites.
  EffectBits bits = 0;
};
PlanEffects EffectsOf(const SiteTable& sites, const Plan& plan);

}  // namespace peft

#endif  // PEFT_CC_CUDA_SITE_EFFECT_H_
