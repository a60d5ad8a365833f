#include "peft_cc/cuda/plan_slots.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

using kernels::cuda::AdapterPool;
using kernels::cuda::AdapterPoolOptions;
using kernels::cuda::Device;
using kernels::cuda::DeviceBuffer;
using kernels::cuda::PairShape;
using kernels::cuda::SiteFactors;
using kernels::cuda::SlotEntry;
using kernels::cuda::Staging;
using kernels::cuda::StreamHandle;

constexpr size_t kSmallestPage = size_t{1} << 20;

// Of the pool: each page has room for a piece of any layer.
size_t PageBytes(const std::vector<PairShape>& sites, DType dtype) {
  size_t bytes = kSmallestPage;
  for (const PairShape& site : sites) {
    const int64_t ranks = std::min(site.rank, kernels::cuda::kRanksPerPiece);
    bytes = std::max(bytes,
                     kernels::cuda::PieceBytes(site, ranks, DTypeSize(dtype)));
  }
  return RoundUp<size_t>(bytes, 256);
}

std::vector<PairShape> PoolSites(const SiteTable& sites, int max_rank) {
  std::vector<PairShape> shapes;
  for (const Site& site : sites.sites()) {
    const int64_t rank = IsLinear(site.kind) ? max_rank : 0;
    shapes.push_back({site.in_features, site.out_features, rank});
  }
  return shapes;
}

bool HasOwnBias(const SiteTable& sites) {
  return std::any_of(
      sites.sites().begin(), sites.sites().end(),
      [](const Site& site) { return IsLinear(site.kind) && site.has_bias(); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanSlots>> PlanSlots::Create(
    const Device& device, const SiteTable& sites, const CudaOptions& options) {
  std::unique_ptr<PlanSlots> slots(new PlanSlots(device, sites, options));
  PEFT_RETURN_IF_ERROR(slots->CreatePool(options));
  if (HasOwnBias(sites)) PEFT_RETURN_IF_ERROR(slots->CopyOwnBiases());
  slots->slots_.resize(1 + options.max_activations);
  return slots;
}

absl::Status PlanSlots::CreatePool(const CudaOptions& options) {
  AdapterPoolOptions pool;
  pool.sites = PoolSites(sites_, options.max_rank);
  pool.dtype = options.adapter_dtype;
  pool.page_bytes = PageBytes(pool.sites, pool.dtype);
  pool.num_pages = static_cast<int>(
      std::min<int64_t>(options.adapter_bytes / pool.page_bytes, 1 << 24));
  pool.num_slots = 1 + options.max_activations;
  pool.max_adapters_per_slot = options.max_adapters;
  if (pool.num_pages == 0) {
    return ArgumentError(
        absl::StrCat("options.adapter_bytes is ", options.adapter_bytes,
                     ", expected at least ", pool.page_bytes,
                     ", which 8 ranks at the largest layer need"),
        {"adapter_bytes", absl::StrCat(pool.page_bytes),
         absl::StrCat(options.adapter_bytes)});
  }
  PEFT_ASSIGN_OR_RETURN(pool_, AdapterPool::Create(device_, pool));
  residents_ = std::make_unique<ResidentAdapters>(sites_, *pool_);
  return absl::OkStatus();
}

absl::Status PlanSlots::MakeFactors(DeviceBuffer& factors) {
  if (staging_.empty()) {
    PEFT_ASSIGN_OR_RETURN(staging_, Staging::Create(device_, layout_.bytes(),
                                                    "copies of factors"));
  }
  if (factors.address() != 0) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(
      factors, device_.Allocate(layout_.bytes(), "factors of adapters"));
  return absl::OkStatus();
}

absl::Status PlanSlots::CopyOwnBiases() {
  PEFT_RETURN_IF_ERROR(MakeFactors(own_biases_));
  PEFT_ASSIGN_OR_RETURN(const auto plan, Plan::Create(sites_, {}));
  PEFT_ASSIGN_OR_RETURN(const kernels::cuda::Stream stream,
                        device_.CreateStream());
  PEFT_RETURN_IF_ERROR(CopyFactors(*plan, stream.handle(), own_biases_));
  return stream.Synchronize();
}

absl::Status PlanSlots::CopyFactors(const Plan& plan, StreamHandle stream,
                                    const DeviceBuffer& to) {
  PEFT_ASSIGN_OR_RETURN(char* const block, staging_.Begin());
  for (size_t i = 0; i < sites_.sites().size(); ++i) {
    const auto site = static_cast<int>(i);
    if (!IsLinear(sites_.sites()[i].kind)) continue;
    layout_.Fill(sites_.sites()[i], site, plan.linear(site), block);
  }
  return staging_.CopyTo(to.address(), layout_.bytes(), stream,
                         "copying factors of adapters");
}

bool PlanSlots::Holds(int index, const Plan& plan) const {
  const Slot& slot = slots_[index];
  const auto& entries = plan.activation().entries;
  if (!slot.is_used || slot.key.size() != entries.size()) return false;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (slot.key[i].first != entries[i].adapter->generation() ||
        slot.key[i].second != entries[i].scale) {
      return false;
    }
  }
  return true;
}

int PlanSlots::Find(const Plan& plan) {
  for (size_t i = kModelSlot + 1; i < slots_.size(); ++i) {
    const auto slot = static_cast<int>(i);
    if (!Holds(slot, plan)) continue;
    slots_[i].last_use = ++clock_;
    return slot;
  }
  return -1;
}

absl::StatusOr<int> PlanSlots::Choose(const std::vector<int>& taken) const {
  int oldest = -1;
  for (size_t i = kModelSlot + 1; i < slots_.size(); ++i) {
    const auto slot = static_cast<int>(i);
    if (!slots_[i].captured.empty() ||
        std::find(taken.begin(), taken.end(), slot) != taken.end()) {
      continue;
    }
    if (oldest < 0 || slots_[i].last_use < slots_[oldest].last_use) {
      oldest = slot;
    }
  }
  if (oldest >= 0) return oldest;
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kCudaActivations,
      absl::StrCat("the call and captured graphs name more activations than "
                   "the ",
                   slots_.size() - 1,
                   " that the runner was made for; make one with more "
                   "options.max_activations"),
      {"max_activations", absl::StrCat(slots_.size()),
       absl::StrCat(slots_.size() - 1)});
}

absl::Status PlanSlots::CheckCaptured(const Slot& slot,
                                      const PlanEffects& effects) const {
  for (const auto& [site, steps] : slot.captured) {
    const SiteEffect& effect = effects.sites[site];
    const bool lacks_step = (effect.bits & ~steps) != 0;
    if (!lacks_step && effect.unsupported == nullptr) continue;
    const std::string& name = sites_.sites()[site].name;
    return MakeError(
        absl::StatusCode::kFailedPrecondition, error_id::kCudaGraph,
        absl::StrCat(
            "a captured graph cannot follow to these adapters: at layer ",
            Quoted(name), " ",
            lacks_step
                ? "they scale inputs or outputs or change the bias, which "
                  "nothing active did when it was captured; activate them, "
                  "capture again with a new runner, and then switch"
                : effect.unsupported),
        {name, "", ""});
  }
  return absl::OkStatus();
}

absl::Status PlanSlots::SetTerms(int slot, const PlanEffects& effects,
                                 StreamHandle stream) {
  std::vector<SlotEntry> entries;
  for (size_t i = 0; i < effects.adapters.size(); ++i) {
    const std::vector<float>& scales = effects.scales[i];
    // An adapter without terms needs no place, nor does one of scale 0.
    if (std::all_of(scales.begin(), scales.end(),
                    [](float scale) { return scale == 0; })) {
      continue;
    }
    PEFT_ASSIGN_OR_RETURN(const auto id,
                          residents_->Get(*effects.adapters[i], stream));
    entries.push_back({id, 1.0f, scales});
  }
  return pool_->SetSlot(slot, entries, stream);
}

absl::Status PlanSlots::Write(int index, const Plan& plan,
                              StreamHandle stream) {
  Slot& slot = slots_[index];
  PlanEffects effects = EffectsOf(sites_, plan);
  PEFT_RETURN_IF_ERROR(CheckCaptured(slot, effects));
  const bool has_factors = (effects.bits | slot.all_captured) != 0;
  if (has_factors) PEFT_RETURN_IF_ERROR(MakeFactors(slot.factors));
  PEFT_RETURN_IF_ERROR(SetTerms(index, effects, stream));
  if (has_factors) {
    PEFT_RETURN_IF_ERROR(CopyFactors(plan, stream, slot.factors));
  }
  slot.is_used = true;
  slot.last_use = ++clock_;
  slot.key.clear();
  for (const Activation::Entry& entry : plan.activation().entries) {
    slot.key.emplace_back(entry.adapter->generation(), entry.scale);
  }
  slot.effects = std::move(effects.sites);
  slot.only_terms.clear();
  for (size_t i = 0; i < sites_.sites().size(); ++i) {
    slot.only_terms.push_back(pool_->OnlyTerm(index, static_cast<int>(i)));
  }
  return absl::OkStatus();
}

SiteFactors PlanSlots::Factors(int index, int site, bool is_delta) const {
  const Slot& slot = slots_[index];
  const EffectBits bits = slot.effects[site].bits;
  const FactorOffsets& at = layout_.at(site);
  const auto block = slot.factors.address();
  SiteFactors factors;
  if (is_delta) {
    if (bits & kChangesBias) factors.bias = block + at.bias_change;
    return factors;
  }
  if (bits & kScalesInput) factors.in_scale = block + at.in_scale;
  if (bits & kScalesOutput) factors.out_scale = block + at.out_scale;
  if (bits & kChangesBias) {
    factors.bias = block + at.bias;
    factors.bias_in_dtype = block + at.bias_in_dtype;
  } else if (sites_.sites()[site].has_bias()) {
    factors.bias = own_biases_.address() + at.bias;
    factors.bias_in_dtype = own_biases_.address() + at.bias_in_dtype;
  }
  return factors;
}

void PlanSlots::Pin(int index, int site) {
  Slot& slot = slots_[index];
  const EffectBits steps = slot.effects[site].bits;
  // Each captured call knows the steps of its own time.
  slot.captured.emplace(site, steps).first->second &= steps;
  slot.all_captured |= steps;
}

bool PlanSlots::has_pins() const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return !slot.captured.empty(); });
}

}  // namespace peft
