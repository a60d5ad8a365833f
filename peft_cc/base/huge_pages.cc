#include "peft_cc/base/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace peft {

namespace {

// Tells the system about the whole pages of `page` bytes, a power of two, that
// are in [memory, memory + size).
[[maybe_unused]] void Advise(void* memory, size_t size, size_t page,
                             int advice) {
  const uintptr_t mask = page - 1;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (address + mask) & ~mask;
  const uintptr_t end = (address + size) & ~mask;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

// Gives back the pages that `memory` was used in before: memory stays in small
// ones once it was filled in such, and is read at half the rate. A host's own
// malloc may have left an Arm memory tag in the pointer, which its pages would
// lose.
void StartAfresh(void* memory, size_t size) {
#ifdef __linux__
  const bool tagged =
      (static_cast<uint64_t>(reinterpret_cast<uintptr_t>(memory)) >> 56) != 0;
  if (!tagged) Advise(memory, size, kHugePage, MADV_DONTNEED);
#endif
}

}  // namespace

void PreferHugePages(void* memory, size_t size) {
#ifdef MADV_HUGEPAGE
  Advise(memory, size, kHugePage, MADV_HUGEPAGE);
#endif
}

void LetPagesGo(void* memory, size_t size) {
#ifdef MADV_FREE
  Advise(memory, size, static_cast<size_t>(sysconf(_SC_PAGESIZE)), MADV_FREE);
#endif
}

std::shared_ptr<uint8_t> AllocateBlock(uint64_t size) {
  constexpr uint64_t kCacheLine = 64;
  const uint64_t alignment = size >= kHugePage ? kHugePage : kCacheLine;
  if (size > SIZE_MAX - alignment) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) return nullptr;
  StartAfresh(memory, size);
  PreferHugePages(memory, size);
  return std::shared_ptr<uint8_t>(static_cast<uint8_t*>(memory), std::free);
}

}  // namespace peft
