// The program's allocator, for the functions that stand for malloc inside of
// libpeft.so.
#ifndef PEFT_C_ALLOCATOR_H_
#define PEFT_C_ALLOCATOR_H_

#include <atomic>

#include "peft_c/peft_c.h"

namespace peft {

// True where malloc and its like are those of malloc_wraps.cc, as in
// libpeft.so. In programs that link the library's objects they are their own.
extern const bool kMallocIsWrapped;

// What peft_set_allocator was given; null: nothing. Set once.
extern std::atomic<const peft_allocator_t*> host_allocator;

// The allocator that the program gave, null while it gave none. It stays valid
// until the process ends. Any thread may call this, and inside of malloc too.
inline const peft_allocator_t* HostAllocator() {
  return host_allocator.load(std::memory_order_acquire);
}

}  // namespace peft

#endif  // PEFT_C_ALLOCATOR_H_
