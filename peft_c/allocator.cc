#include "peft_c/allocator.h"

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_c/arguments.h"
#include "peft_c/handle.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {

std::atomic<const peft_allocator_t*> host_allocator{nullptr};

namespace {

absl::Status AllocatorError(absl::string_view message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kAllocator,
                   message);
}

// Where nothing was called before, nothing that malloc gave will be freed.
absl::Status SetAllocator(const peft_allocator_t* allocator, bool is_first) {
  // Filled once.
  static peft_allocator_t host = PEFT_ALLOCATOR_INIT;
  if (!is_first) {
    return AllocatorError(
        "peft_set_allocator must be the first call of the library, and the "
        "only one of this function");
  }
  if (!kMallocIsWrapped) {
    return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                     "this program links the library's objects, whose memory "
                     "is its own operator new's; link libpeft.so, or replace "
                     "malloc");
  }
  PEFT_RETURN_IF_ERROR(ReadStruct("allocator", allocator, &host));
  if (host.allocate == nullptr) return BadArgument("allocate", "is NULL");
  if (host.deallocate == nullptr) return BadArgument("deallocate", "is NULL");
  host_allocator.store(&host, std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace
}  // namespace peft

void peft_allocator_init(peft_allocator_t* allocator, size_t struct_size) {
  static constexpr peft_allocator_t kDefaults = PEFT_ALLOCATOR_INIT;
  peft::InitStruct(kDefaults, allocator, struct_size);
}

peft_status_t* peft_set_allocator(const peft_allocator_t* allocator) {
  const bool is_first = !peft::MarkUsed();
  return peft::Guard([&] { return peft::SetAllocator(allocator, is_first); });
}
