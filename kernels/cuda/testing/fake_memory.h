// The memory of a fake device: heap blocks under addresses that the host cannot
// dereference, so that code which mixes both up crashes at once.
#ifndef KERNELS_CUDA_TESTING_FAKE_MEMORY_H_
#define KERNELS_CUDA_TESTING_FAKE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "kernels/cuda/driver_types.h"

namespace peft {
namespace kernels {
namespace cuda {

// A device address is the host's with this bit flipped: no address of the host
// has it, and alignment stays what it is.
constexpr DevicePtr kDeviceBit = 1ull << 62;

inline void* HostAddress(DevicePtr pointer) {
  return reinterpret_cast<void*>(pointer ^ kDeviceBit);
}

// Thread-compatible.
class FakeMemory {
 public:
  explicit FakeMemory(size_t capacity) : capacity_(capacity) {}

  // Memory full of NaN, at a multiple of 256; 0 where there is no room.
  DevicePtr Allocate(size_t bytes);
  // False unless `pointer` is what Allocate has returned.
  bool Free(DevicePtr pointer);
  void* AllocatePinned(size_t bytes);
  bool FreePinned(void* pointer);

  // The host's address of `bytes` that lie in one allocation; else null.
  void* Resolve(DevicePtr pointer, size_t bytes) const;
  // True for bytes of one pinned allocation.
  bool IsPinned(const void* pointer, size_t bytes) const;

  size_t capacity() const { return capacity_; }
  size_t free_bytes() const { return capacity_ - used_; }
  size_t num_allocations() const { return device_.size() + pinned_.size(); }

 private:
  struct FreeBlock {
    void operator()(void* block) const;
  };
  struct Block {
    std::unique_ptr<void, FreeBlock> data;
    size_t bytes = 0;
  };
  // By the host's address.
  using Blocks = std::map<uintptr_t, Block>;

  static void* Add(size_t bytes, Blocks& blocks);
  static const Block* Find(uintptr_t address, size_t bytes,
                           const Blocks& blocks);

  const size_t capacity_;
  size_t used_ = 0;
  Blocks device_;
  Blocks pinned_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_FAKE_MEMORY_H_
