// malloc and its like inside of libpeft.so, by the linker's --wrap: what the
// library, and all that is linked into it, allocates comes from the program's
// allocator once there is one. operator new calls malloc, and so does what
// throws exceptions.
//
// A block of the program's begins with a Header, behind what its alignment asks
// for. Blocks that were made before there was an allocator are never freed: see
// peft_set_allocator.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "peft_c/allocator.h"

extern "C" {
// The C library's.
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* data, size_t size);
void __real_free(void* data);
int __real_posix_memalign(void** out_data, size_t alignment, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);

void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void* __wrap_realloc(void* data, size_t size);
void __wrap_free(void* data);
int __wrap_posix_memalign(void** out_data, size_t alignment, size_t size);
void* __wrap_aligned_alloc(size_t alignment, size_t size);
char* __wrap_strdup(const char* text);
}

namespace peft {

const bool kMallocIsWrapped = true;

namespace {

// Lies directly before what malloc returns. The block begins `alignment` bytes
// before that.
struct alignas(std::max_align_t) Header {
  uint64_t size;  // of the block
  uint64_t alignment;
};

// Huge pages are a wish that costs as much as it aligns to: the program's
// allocator is asked for pages.
constexpr size_t kMaxAlignment = 4096;

Header* HeaderOf(void* data) { return static_cast<Header*>(data) - 1; }

void* Allocate(const peft_allocator_t& host, size_t size,
               size_t alignment) noexcept {
  if (alignment < sizeof(Header)) alignment = sizeof(Header);
  if (alignment > kMaxAlignment) alignment = kMaxAlignment;
  if (size > PTRDIFF_MAX - alignment) return nullptr;
  size += alignment;
  void* block = nullptr;
  try {
    block = host.allocate(host.user_data, size, alignment);
  } catch (...) {
    return nullptr;
  }
  if (block == nullptr) return nullptr;
  void* const data = static_cast<char*>(block) + alignment;
  *HeaderOf(data) = {size, alignment};
  return data;
}

void Free(const peft_allocator_t& host, void* data) noexcept {
  const Header header = *HeaderOf(data);
  try {
    host.deallocate(host.user_data, static_cast<char*>(data) - header.alignment,
                    header.size, header.alignment);
  } catch (...) {
    // The block is the program's, and lost to it.
  }
}

// What the C library says when there is no memory.
void* OrNoMemory(void* data) {
  if (data == nullptr) errno = ENOMEM;
  return data;
}

void* Reallocate(const peft_allocator_t& host, void* data, size_t size) {
  void* const moved = Allocate(host, size, alignof(std::max_align_t));
  if (moved == nullptr || data == nullptr) return OrNoMemory(moved);
  const Header header = *HeaderOf(data);
  const size_t old_size = header.size - header.alignment;
  std::memcpy(moved, data, old_size < size ? old_size : size);
  Free(host, data);
  return moved;
}

}  // namespace
}  // namespace peft

void* __wrap_malloc(size_t size) {
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_malloc(size);
  return peft::OrNoMemory(
      peft::Allocate(*host, size, alignof(std::max_align_t)));
}

void* __wrap_calloc(size_t count, size_t size) {
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_calloc(count, size);
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return peft::OrNoMemory(nullptr);
  }
  void* const data = __wrap_malloc(bytes);
  return data == nullptr ? nullptr : std::memset(data, 0, bytes);
}

void* __wrap_realloc(void* data, size_t size) {
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_realloc(data, size);
  return peft::Reallocate(*host, data, size);
}

void __wrap_free(void* data) {
  if (data == nullptr) return;
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_free(data);
  peft::Free(*host, data);
}

int __wrap_posix_memalign(void** out_data, size_t alignment, size_t size) {
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_posix_memalign(out_data, alignment, size);
  void* const data = peft::Allocate(*host, size, alignment);
  if (data == nullptr) return ENOMEM;
  *out_data = data;
  return 0;
}

void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  const peft_allocator_t* const host = peft::HostAllocator();
  if (host == nullptr) return __real_aligned_alloc(alignment, size);
  return peft::OrNoMemory(peft::Allocate(*host, size, alignment));
}

// The C library's own would come from its malloc.
char* __wrap_strdup(const char* text) {
  const size_t size = std::strlen(text) + 1;
  void* const copy = __wrap_malloc(size);
  return copy == nullptr ? nullptr
                         : static_cast<char*>(std::memcpy(copy, text, size));
}
