// Which generations of adapters are in a device's memory.
#ifndef PEFT_CC_CUDA_RESIDENT_ADAPTERS_H_
#define PEFT_CC_CUDA_RESIDENT_ADAPTERS_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/adapter_pool.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The LowRank that an adapter has at a site; null: none, or more than one.
const LowRank* OnlyLowRank(const Adapter& adapter, int site);

// Copies low-rank factors to a pool when they are first wanted, and leaves them
// there until others need the room: then those go that were wanted last long
// ago and are in no slot. Factors of ranks are multiplied into A. Thread-
// compatible.
class ResidentAdapters {
 public:
  // Both must outlive it. The pool's sites are those of the table.
  ResidentAdapters(const SiteTable& sites, kernels::cuda::AdapterPool& pool)
      : sites_(sites), pool_(pool) {}

  // Where the adapter is. All work that reads adapters is in `stream`.
  // INVALID_ARGUMENT (ARGUMENT) for a rank over the pool's, RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY) where there is no room beside those in slots.
  absl::StatusOr<kernels::cuda::AdapterId> Get(
      const Adapter& adapter, kernels::cuda::StreamHandle stream);

 private:
  struct Resident {
    kernels::cuda::AdapterId id = 0;
    uint64_t last_use = 0;
  };

  // Unloads one; false where all are in slots.
  absl::StatusOr<bool> MakeRoom(kernels::cuda::StreamHandle stream);

  const SiteTable& sites_;
  kernels::cuda::AdapterPool& pool_;
  std::map<uint64_t, Resident> residents_;  // by generation
  uint64_t clock_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_CUDA_RESIDENT_ADAPTERS_H_
