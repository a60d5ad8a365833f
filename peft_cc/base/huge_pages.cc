#include "peft_cc/base/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace peft {

void PreferHugePages(void* memory, size_t size) {
  const uintptr_t mask = kHugePage - 1;
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (address + mask) & ~mask;
  const uintptr_t end = (address + size) & ~mask;
#ifdef MADV_HUGEPAGE
  if (begin < end) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  }
#endif
}

std::shared_ptr<uint8_t> AllocateBlock(uint64_t size) {
  constexpr uint64_t kCacheLine = 64;
  const uint64_t alignment = size >= kHugePage ? kHugePage : kCacheLine;
  if (size > SIZE_MAX - alignment) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) return nullptr;
  PreferHugePages(memory, size);
  return std::shared_ptr<uint8_t>(static_cast<uint8_t*>(memory), std::free);
}

}  // namespace peft
