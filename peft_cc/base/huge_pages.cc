#include "peft_cc/base/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "peft_cc/base/round_up.h"

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

// From the system, and not from malloc: that would give memory that was used
// before in small pages, which stays in such.
std::shared_ptr<uint8_t> MapBlock(uint64_t size) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (size > SIZE_MAX - 2 * kHugePage) return nullptr;
  const size_t whole = RoundUp(size, page);
  void* const all = mmap(nullptr, whole + kHugePage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  auto* const first = static_cast<uint8_t*>(all);
  const size_t before = RoundUp(reinterpret_cast<uintptr_t>(all), kHugePage) -
                        reinterpret_cast<uintptr_t>(all);
  uint8_t* const block = first + before;
  if (before > 0) munmap(first, before);
  munmap(block + whole, kHugePage - before);
  PreferHugePages(block, size);
  return std::shared_ptr<uint8_t>(
      block, [whole](uint8_t* memory) { munmap(memory, whole); });
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
  if (size >= kHugePage) return MapBlock(size);
  constexpr uint64_t kCacheLine = 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, kCacheLine, size) != 0) return nullptr;
  return std::shared_ptr<uint8_t>(static_cast<uint8_t*>(memory), std::free);
}

}  // namespace peft
