// Large blocks of memory in huge pages.
#ifndef PEFT_CC_BASE_HUGE_PAGES_H_
#define PEFT_CC_BASE_HUGE_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace peft {

// The size of a huge page on x86-64 and on Arm with 4 KiB pages.
inline constexpr size_t kHugePage = 2u << 20;

// Asks the system to back the whole huge pages of [memory, memory + size) with
// such: filling fresh 4 KiB pages costs five times as much as a copy itself.
// The rest stays in small ones, so that nothing takes more than its size. Only
// a hint: a system without huge pages is slower and just as right.
void PreferHugePages(void* memory, size_t size);

// Lets the system take the whole pages of [memory, memory + size), whose bytes
// nobody needs any more, when it is short of memory. Only a hint, likewise.
void LetPagesGo(void* memory, size_t size);

// Memory for `size` bytes, not cleared, in huge pages where it fills some.
// Starts at a cache line, or a huge page. Null when memory is out.
std::shared_ptr<uint8_t> AllocateBlock(uint64_t size);

}  // namespace peft

#endif  // PEFT_CC_BASE_HUGE_PAGES_H_
