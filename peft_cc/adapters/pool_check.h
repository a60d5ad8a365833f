// Whether a program's own threads did what a call asked of them.
#ifndef PEFT_CC_ADAPTERS_POOL_CHECK_H_
#define PEFT_CC_ADAPTERS_POOL_CHECK_H_

#include "absl/status/status.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/error.h"

namespace peft {

// Around work of the calling thread on a pool. Lives on the stack.
class PoolCheck {
 public:
  // What failed before is not looked at.
  explicit PoolCheck(kernels::ThreadPool& pool) : pool_(pool) {
    pool.TakeFailure();
  }

  // CANCELLED (THREAD_POOL) where something has failed since. The work itself
  // was done.
  absl::Status status() const {
    if (!pool_.TakeFailure()) return absl::OkStatus();
    return MakeError(absl::StatusCode::kCancelled, error_id::kThreadPool,
                     "the program's parallel_for failed, or returned before it "
                     "had run all pieces");
  }

 private:
  kernels::ThreadPool& pool_;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_POOL_CHECK_H_
