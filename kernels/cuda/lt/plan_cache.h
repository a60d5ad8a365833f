// Plans by what they compute: made once, kept while they are used.
#ifndef KERNELS_CUDA_LT_PLAN_CACHE_H_
#define KERNELS_CUDA_LT_PLAN_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/lt/algo.h"
#include "kernels/cuda/lt/gemm.h"
#include "kernels/cuda/lt/plan.h"

namespace peft {
namespace kernels {
namespace cuda {

// What tuning has found for all products of one bucket (BucketOf).
struct TunedAlgo {
  LtAlgoConfig config = {};
  double seconds = 0;  // of one run of the bucket's largest product
};
using TunedAlgos = std::map<GemmKey, TunedAlgo>;

// Measures one run of a plan, in seconds.
using GemmTimer = absl::FunctionRef<absl::StatusOr<double>(const GemmPlan&)>;

struct PlanCacheStats {
  int64_t hits = 0;
  int64_t misses = 0;
  // Products that the tuned algorithm of their bucket does not fit, which run
  // the one that the library would choose.
  int64_t tuned_rejected = 0;
};

// Thread-safe.
class PlanCache {
 public:
  // Keeps the handle, which must outlive the cache and all its plans. Holds at
  // most `capacity` plans, the ones used last.
  PlanCache(const LtHandle& handle, const LtSettings& settings,
            int64_t capacity = 4096)
      : handle_(handle), settings_(settings), capacity_(capacity) {}

  // The plan for `gemm`. Fails as ValidateGemm does, and with UNIMPLEMENTED
  // (CUBLASLT) where the library cannot compute it on this device.
  absl::StatusOr<std::shared_ptr<const GemmPlan>> Get(const Gemm& gemm);

  // Times the first `candidates` algorithms for the largest product of `gemm`'s
  // bucket, and takes the fastest one for all of them from now on. `timer` is
  // called without a lock. Fails where it does; then nothing has changed.
  absl::Status Tune(const Gemm& gemm, int candidates, GemmTimer timer);

  // What tuning has found, and the same from elsewhere. Add replaces what it
  // has for the same products; plans that are held go on as they are.
  TunedAlgos tuned() const;
  void Add(const TunedAlgos& tuned);

  const LtSettings& settings() const { return settings_; }
  const LtHandle& handle() const { return handle_; }
  PlanCacheStats stats() const;

 private:
  using Plan = std::shared_ptr<const GemmPlan>;
  using Entry = std::pair<GemmKey, Plan>;

  // The next two need the lock.
  absl::StatusOr<Plan> Make(const Gemm& gemm);
  void Keep(const GemmKey& key, const Plan& plan);

  const LtHandle& handle_;
  const LtSettings settings_;
  const int64_t capacity_;

  mutable std::mutex mutex_;
  std::list<Entry> plans_;  // the one used last first
  std::map<GemmKey, std::list<Entry>::iterator> by_key_;
  TunedAlgos tuned_;
  PlanCacheStats stats_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_PLAN_CACHE_H_
