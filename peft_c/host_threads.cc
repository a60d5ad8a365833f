#include "peft_c/host_threads.h"

#include "absl/strings/str_cat.h"
#include "kernels/host_thread_pool.h"
#include "peft_c/arguments.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// As of peft_model_options_t.num_threads.
constexpr int32_t kMaxThreads = 4096;

}  // namespace

absl::StatusOr<std::shared_ptr<kernels::ThreadPool>> ReadThreadPool(
    const peft_thread_pool_t* pool) {
  if (pool == nullptr) return nullptr;
  peft_thread_pool_t known = PEFT_THREAD_POOL_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct("options.thread_pool", pool, &known));
  if (known.parallel_for == nullptr) {
    return BadArgument("options.thread_pool.parallel_for", "is NULL");
  }
  if (known.num_threads < 1 || known.num_threads > kMaxThreads) {
    return BadArgument("options.thread_pool.num_threads",
                       absl::StrCat("is ", known.num_threads,
                                    ", expected 1 to ", kMaxThreads));
  }
  kernels::HostThreadPoolCallbacks callbacks;
  callbacks.parallel_for = known.parallel_for;
  callbacks.user_data = known.user_data;
  callbacks.num_threads = known.num_threads;
  return std::make_shared<kernels::HostThreadPool>(callbacks);
}

}  // namespace peft

void peft_thread_pool_init(peft_thread_pool_t* pool, size_t struct_size) {
  static constexpr peft_thread_pool_t kDefaults = PEFT_THREAD_POOL_INIT;
  peft::InitStruct(kDefaults, pool, struct_size);
}
