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
  PreferHugePages(memory, size);
  return std::shared_ptr<uint8_t>(static_cast<uint8_t*>(memory), std::free);
}

}  // namespace peft
