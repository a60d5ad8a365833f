// A program's own threads, at the C ABI.
#ifndef PEFT_C_HOST_THREADS_H_
#define PEFT_C_HOST_THREADS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_c/peft_c.h"

namespace peft {

// The pool that `pool` describes; null for null.
absl::StatusOr<std::shared_ptr<kernels::ThreadPool>> ReadThreadPool(
    const peft_thread_pool_t* pool);

}  // namespace peft

#endif  // PEFT_C_HOST_THREADS_H_
