#include "peft_cc/cuda/site_effect.h"

#include <algorithm>

#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "peft_cc/cuda/resident_adapters.h"

namespace peft {
namespace {

// Why the device cannot run a plan, but for its terms; null: it can.
const char* WhyUnsupported(const Site& site,
                           const kernels::LinearPlan& linear) {
  if (linear.weight.data != site.weight.data()) {
    return "an adapter replaces its weight (modules_to_save), which is not "
           "implemented on CUDA devices";
  }
  if (linear.patch.rows.rows > 0) {
    return "an adapter replaces rows of its weight (trainable_token_indices), "
           "which is not implemented on CUDA devices";
  }
  if (linear.stages.size() > 1) {
    return "adapters are nested with factors between them, which is not "
           "implemented on CUDA devices; activate one of them";
  }
  return nullptr;
}

// The place of the adapter whose factors the segment shows, or -1.
int OwnerOf(const kernels::LowRankSegment& segment, int index,
            absl::Span<const Adapter* const> adapters) {
  for (size_t i = 0; i < adapters.size(); ++i) {
    const LowRank* const form = OnlyLowRank(*adapters[i], index);
    if (form != nullptr && form->a.data() == segment.a.data &&
        form->b.data() == segment.b.data) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

// The effect at site `index`, whose scales go to `effects`.
SiteEffect EffectOf(const Site& site, int index, const Plan& plan,
                    PlanEffects& effects) {
  SiteEffect effect;
  if (!IsLinear(site.kind)) {
    effect.unsupported = "layers of this kind do not run on CUDA devices";
    return effect;
  }
  const kernels::LinearPlan& linear = plan.linear(index);
  effect.unsupported = WhyUnsupported(site, linear);
  if (linear.in_scale.data != nullptr) effect.bits |= kScalesInput;
  const void* const own_bias = site.has_bias() ? site.bias.data() : nullptr;
  if (linear.bias.data != own_bias) effect.bits |= kChangesBias;
  for (const kernels::LinearStage& stage : linear.stages) {
    if (stage.out_scale.data != nullptr) effect.bits |= kScalesOutput;
    for (const kernels::LowRankSegment& segment : stage.low_rank) {
      effect.has_terms = true;
      const int owner = OwnerOf(segment, index, effects.adapters);
      if (owner >= 0) {
        effects.scales[owner][index] += segment.scale;
      } else if (effect.unsupported == nullptr) {
        effect.unsupported =
            "an adapter has several low-rank terms there, or one inside of "
            "another that scales its input, which is not implemented on CUDA "
            "devices";
      }
    }
  }
  return effect;
}

}  // namespace

bool IsLinear(SiteKind kind) {
  return kind == SiteKind::kLinear || kind == SiteKind::kConv1D ||
         kind == SiteKind::kMultiheadAttention || kind == SiteKind::kParameter;
}

PlanEffects EffectsOf(const SiteTable& sites, const Plan& plan) {
  PlanEffects effects;
  for (const Activation::Entry& entry : plan.activation().entries) {
    const Adapter* const adapter = entry.adapter.get();
    std::vector<const Adapter*>& adapters = effects.adapters;
    if (std::find(adapters.begin(), adapters.end(), adapter) ==
        adapters.end()) {
      adapters.push_back(adapter);
    }
  }
  const auto num_sites = static_cast<int>(sites.sites().size());
  effects.scales.assign(effects.adapters.size(),
                        std::vector<float>(num_sites, 0.0f));
  for (int i = 0; i < num_sites; ++i) {
    effects.sites.push_back(EffectOf(sites.sites()[i], i, plan, effects));
    effects.bits |= effects.sites.back().bits;
  }
  return effects;
}

}  // namespace peft
