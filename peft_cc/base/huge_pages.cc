#include "peft_cc/base/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>

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

}  // namespace peft
