#include "kernels/cuda/lt/plan_cache.h"

#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {

absl::StatusOr<PlanCache::Plan> PlanCache::Make(const Gemm& gemm) {
  PEFT_ASSIGN_OR_RETURN(const LtDescriptors descriptors,
                        DescribeGemm(handle_.library(), gemm, settings_));
  const auto tuned = tuned_.find(KeyOf(BucketOf(gemm)));
  if (tuned != tuned_.end()) {
    const auto candidate =
        CandidateOf(handle_, descriptors, settings_, tuned->second.config);
    if (candidate.ok()) {
      return std::make_shared<const GemmPlan>(handle_, gemm, descriptors,
                                              *candidate);
    }
    ++stats_.tuned_rejected;
  }
  PEFT_ASSIGN_OR_RETURN(const std::vector<LtCandidate> candidates,
                        FindCandidates(handle_, descriptors, 1));
  return std::make_shared<const GemmPlan>(handle_, gemm, descriptors,
                                          candidates.front());
}

void PlanCache::Keep(const GemmKey& key, const Plan& plan) {
  plans_.emplace_front(key, plan);
  by_key_[key] = plans_.begin();
  if (static_cast<int64_t>(plans_.size()) <= capacity_) return;
  by_key_.erase(plans_.back().first);
  plans_.pop_back();
}

absl::StatusOr<std::shared_ptr<const GemmPlan>> PlanCache::Get(
    const Gemm& gemm) {
  const GemmKey key = KeyOf(gemm);
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    ++stats_.hits;
    plans_.splice(plans_.begin(), plans_, found->second);
    return found->second->second;
  }
  ++stats_.misses;
  PEFT_ASSIGN_OR_RETURN(Plan plan, Make(gemm));
  Keep(key, plan);
  return plan;
}

absl::Status PlanCache::Tune(const Gemm& gemm, int candidates,
                             GemmTimer timer) {
  const Gemm largest = BucketOf(gemm);
  PEFT_ASSIGN_OR_RETURN(const LtDescriptors descriptors,
                        DescribeGemm(handle_.library(), largest, settings_));
  PEFT_ASSIGN_OR_RETURN(const std::vector<LtCandidate> found,
                        FindCandidates(handle_, descriptors, candidates));
  TunedAlgo best;
  for (const LtCandidate& candidate : found) {
    const GemmPlan plan(handle_, largest, descriptors, candidate);
    PEFT_ASSIGN_OR_RETURN(const double seconds, timer(plan));
    if (&candidate != &found.front() && !(seconds < best.seconds)) continue;
    PEFT_ASSIGN_OR_RETURN(best.config, plan.Config());
    best.seconds = seconds;
  }
  Add({{KeyOf(largest), best}});
  return absl::OkStatus();
}

TunedAlgos PlanCache::tuned() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return tuned_;
}

void PlanCache::Add(const TunedAlgos& tuned) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& one : tuned) tuned_[one.first] = one.second;
  // Later calls of Get plan again; who holds a plan keeps it.
  plans_.clear();
  by_key_.clear();
}

PlanCacheStats PlanCache::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
