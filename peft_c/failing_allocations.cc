#include "peft_c/failing_allocations.h"

#include <cstdlib>
#include <new>

namespace {

// Allocations of this thread until one fails; negative: none fails.
thread_local int64_t allocations_left = -1;
thread_local bool all_fail_then = false;
thread_local bool has_failed = false;

// What no test needs: it is refused as on a small machine. A sanitizer would
// end the program, and a large machine might have it.
constexpr size_t kTooMuch = size_t{1} << 30;

bool MayAllocate(size_t size) {
  if (size > kTooMuch) return false;
  if (allocations_left < 0) return true;
  if (allocations_left-- > 0) return true;
  has_failed = true;
  if (all_fail_then) allocations_left = 0;
  return false;
}

}  // namespace

void* operator new(size_t size) {
  void* const memory = MayAllocate(size) ? std::malloc(size) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return MayAllocate(size) ? std::malloc(size) : nullptr;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace peft {

void FailAfter(int64_t allowed, AfterFailure after) {
  has_failed = false;
  all_fail_then = after == AfterFailure::kAllFail;
  allocations_left = allowed;
}

bool StopFailing() {
  allocations_left = -1;
  return has_failed;
}

}  // namespace peft
