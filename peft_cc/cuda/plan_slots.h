// The plans that a CUDA device has at hand: their terms in slots of an adapter
// pool, their factors in a block beside.
#ifndef PEFT_CC_CUDA_PLAN_SLOTS_H_
#define PEFT_CC_CUDA_PLAN_SLOTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/adapter_pool.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/sites/linear_launcher.h"
#include "kernels/cuda/staging.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/cuda/cuda_options.h"
#include "peft_cc/cuda/factor_layout.h"
#include "peft_cc/cuda/resident_adapters.h"
#include "peft_cc/cuda/site_effect.h"

namespace peft {

// The slot of what is active on the model. The others are of activations that
// calls name.
constexpr int kModelSlot = 0;

// Thread-compatible, and for one stream at a time.
class PlanSlots {
 public:
  // Keeps device and sites. RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
  static absl::StatusOr<std::unique_ptr<PlanSlots>> Create(
      const kernels::cuda::Device& device, const SiteTable& sites,
      const CudaOptions& options);
  PlanSlots(const PlanSlots&) = delete;
  PlanSlots& operator=(const PlanSlots&) = delete;

  // The slot, but for the model's, that holds the plan; -1: none does.
  int Find(const Plan& plan);
  bool Holds(int slot, const Plan& plan) const;
  // Writes the plan to a slot, for all work that is put on `stream` from now
  // on. RESOURCE_EXHAUSTED (OUT_OF_MEMORY); FAILED_PRECONDITION (CUDA_GRAPH)
  // where captured calls at this slot cannot follow. Nothing has changed then.
  absl::Status Write(int slot, const Plan& plan,
                     kernels::cuda::StreamHandle stream);
  // The slot that was used last longest ago, of those that no graph needs and
  // that is not `taken`. RESOURCE_EXHAUSTED (CUDA_ACTIVATIONS) where there is
  // none.
  absl::StatusOr<int> Choose(const std::vector<int>& taken) const;

  // What a slot holds at a site.
  const SiteEffect& effect(int slot, int site) const {
    return slots_[slot].effects[site];
  }
  // With the layer's own product, or of what is added to y.
  kernels::cuda::SiteFactors Factors(int slot, int site, bool is_delta) const;
  const kernels::cuda::PoolTerm& OnlyTerm(int slot, int site) const {
    return slots_[slot].only_terms[site];
  }

  // A captured call at the site goes on reading the slot, and does there what
  // its effect is now.
  void Pin(int slot, int site);
  bool has_pins() const;

  const kernels::cuda::AdapterPool& pool() const { return *pool_; }

 private:
  // What identifies a plan: generations, in order, and their scales.
  using Key = std::vector<std::pair<uint64_t, float>>;

  struct Slot {
    bool is_used = false;
    Key key;
    uint64_t last_use = 0;
    std::vector<SiteEffect> effects;  // by site
    std::vector<kernels::cuda::PoolTerm> only_terms;
    kernels::cuda::DeviceBuffer factors;
    // By the site of captured calls: the steps that all of these have.
    std::map<int, EffectBits> captured;
    EffectBits all_captured = 0;  // that any has, at any site
  };

  PlanSlots(const kernels::cuda::Device& device, const SiteTable& sites,
            const CudaOptions& options)
      : device_(device), sites_(sites), layout_(sites, options.dtype) {}

  absl::Status CreatePool(const CudaOptions& options);
  absl::Status CopyOwnBiases();
  absl::Status CheckCaptured(const Slot& slot,
                             const PlanEffects& effects) const;
  absl::Status SetTerms(int slot, const PlanEffects& effects,
                        kernels::cuda::StreamHandle stream);
  absl::Status CopyFactors(const Plan& plan, kernels::cuda::StreamHandle stream,
                           const kernels::cuda::DeviceBuffer& to);
  absl::Status MakeFactors(kernels::cuda::DeviceBuffer& factors);

  const kernels::cuda::Device& device_;
  const SiteTable& sites_;
  const FactorLayout layout_;
  std::unique_ptr<kernels::cuda::AdapterPool> pool_;
  std::unique_ptr<ResidentAdapters> residents_;
  // The layers' own biases, in a block of the same layout; none where no layer
  // has one.
  kernels::cuda::DeviceBuffer own_biases_;
  kernels::cuda::Staging staging_;  // made with the first block
  std::vector<Slot> slots_;
  uint64_t clock_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_CUDA_PLAN_SLOTS_H_
