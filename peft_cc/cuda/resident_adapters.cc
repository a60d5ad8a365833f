#include "peft_cc/cuda/resident_adapters.h"

#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {
namespace {

using kernels::cuda::AdapterId;
using kernels::cuda::HostPair;

// The factors of one adapter in the pool's dtype.
struct HostFactors {
  std::vector<HostPair> pairs;  // by site
  std::deque<Tensor> converted;
};

// A with each row times its factor.
absl::StatusOr<Tensor> ScaledRows(const LowRank& form) {
  void* data = nullptr;
  const absl::Span<const int64_t> shape = form.a.shape();
  PEFT_ASSIGN_OR_RETURN(
      Tensor scaled,
      Tensor::Allocate(DType::kF32, {shape.begin(), shape.end()}, &data));
  auto* element = static_cast<float*>(data);
  form.a.CopyF32(0, form.a.num_elements(), element);
  for (const float factor : form.rank_scale) {
    for (int64_t i = 0; i < shape[1]; ++i) *element++ *= factor;
  }
  return scaled;
}

absl::Status AddPair(const LowRank& form, DType dtype, int site,
                     HostFactors& factors) {
  Tensor a = form.a;
  if (!form.rank_scale.empty()) {
    PEFT_ASSIGN_OR_RETURN(a, ScaledRows(form));
  }
  PEFT_ASSIGN_OR_RETURN(a, a.Cast(dtype));
  PEFT_ASSIGN_OR_RETURN(Tensor b, form.b.Cast(dtype));
  factors.pairs[site] = {a.AsMatrix(), b.AsMatrix()};
  factors.converted.push_back(std::move(a));
  factors.converted.push_back(std::move(b));
  return absl::OkStatus();
}

absl::Status RankTooLarge(const Site& site, int64_t rank, int64_t most) {
  return ArgumentError(
      absl::StrCat("at layer ", Quoted(site.name), " the adapter has rank ",
                   rank, ", and the runner was made for ", most,
                   "; make one with a larger options.max_rank"),
      {"max_rank", absl::StrCat(rank), absl::StrCat(most)});
}

absl::StatusOr<HostFactors> MakeFactors(
    const SiteTable& sites, const Adapter& adapter,
    const kernels::cuda::AdapterPoolOptions& options) {
  HostFactors factors;
  factors.pairs.resize(options.sites.size());
  for (const Adapter::SiteEntry& entry : adapter.entries()) {
    const int64_t most = options.sites[entry.site].rank;
    const LowRank* const form = OnlyLowRank(adapter, entry.site);
    if (form == nullptr || most == 0) continue;
    if (form->a.dim(0) > most) {
      return RankTooLarge(sites.sites()[entry.site], form->a.dim(0), most);
    }
    PEFT_RETURN_IF_ERROR(AddPair(*form, options.dtype, entry.site, factors));
  }
  return factors;
}

}  // namespace

const LowRank* OnlyLowRank(const Adapter& adapter, int site) {
  const SiteProgram* const program = adapter.FindProgram(site);
  if (program == nullptr) return nullptr;
  const LowRank* found = nullptr;
  for (const Form& form : *program) {
    const auto* const low_rank = std::get_if<LowRank>(&form);
    if (low_rank == nullptr || low_rank->a.dim(0) == 0) continue;
    if (found != nullptr) return nullptr;
    found = low_rank;
  }
  return found;
}

absl::StatusOr<bool> ResidentAdapters::MakeRoom(
    kernels::cuda::StreamHandle stream) {
  auto oldest = residents_.end();
  for (auto it = residents_.begin(); it != residents_.end(); ++it) {
    if (pool_.IsActive(it->second.id)) continue;
    if (oldest == residents_.end() ||
        it->second.last_use < oldest->second.last_use) {
      oldest = it;
    }
  }
  if (oldest == residents_.end()) return false;
  PEFT_RETURN_IF_ERROR(pool_.Unload(oldest->second.id, stream));
  residents_.erase(oldest);
  return true;
}

absl::StatusOr<AdapterId> ResidentAdapters::Get(
    const Adapter& adapter, kernels::cuda::StreamHandle stream) {
  const auto found = residents_.find(adapter.generation());
  if (found != residents_.end()) {
    found->second.last_use = ++clock_;
    return found->second.id;
  }
  PEFT_ASSIGN_OR_RETURN(const HostFactors factors,
                        MakeFactors(sites_, adapter, pool_.options()));
  absl::StatusOr<AdapterId> id = pool_.Load(factors.pairs);
  while (absl::IsResourceExhausted(id.status())) {
    PEFT_ASSIGN_OR_RETURN(const bool has_room, MakeRoom(stream));
    if (!has_room) return id;
    id = pool_.Load(factors.pairs);
  }
  PEFT_RETURN_IF_ERROR(id.status());
  residents_[adapter.generation()] = {*id, ++clock_};
  return id;
}

}  // namespace peft
