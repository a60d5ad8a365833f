#include "kernels/cuda/testing/fake_memory.h"

#include <cstdlib>
#include <cstring>
#include <iterator>

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr size_t kAlignment = 256;  // what cuMemAlloc promises

}  // namespace

void FakeMemory::FreeBlock::operator()(void* block) const { std::free(block); }

void* FakeMemory::Add(size_t bytes, Blocks& blocks) {
  // Not rounded up: the address sanitizer then knows the exact end.
  void* data = nullptr;
  if (posix_memalign(&data, kAlignment, bytes) != 0) return nullptr;
  std::memset(data, 0xff, bytes);
  Block& block = blocks[reinterpret_cast<uintptr_t>(data)];
  block.data.reset(data);
  block.bytes = bytes;
  return data;
}

const FakeMemory::Block* FakeMemory::Find(uintptr_t address, size_t bytes,
                                          const Blocks& blocks) {
  const auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) return nullptr;
  const auto& [start, block] = *std::prev(after);
  const size_t offset = address - start;
  const bool inside = offset <= block.bytes && bytes <= block.bytes - offset;
  return inside ? &block : nullptr;
}

DevicePtr FakeMemory::Allocate(size_t bytes) {
  if (bytes > free_bytes()) return 0;
  void* const data = Add(bytes, device_);
  if (data == nullptr) return 0;
  used_ += bytes;
  return reinterpret_cast<DevicePtr>(data) ^ kDeviceBit;
}

bool FakeMemory::Free(DevicePtr pointer) {
  const auto found = device_.find(pointer ^ kDeviceBit);
  if (found == device_.end()) return false;
  used_ -= found->second.bytes;
  device_.erase(found);
  return true;
}

void* FakeMemory::AllocatePinned(size_t bytes) { return Add(bytes, pinned_); }

bool FakeMemory::FreePinned(void* pointer) {
  return pinned_.erase(reinterpret_cast<uintptr_t>(pointer)) == 1;
}

void* FakeMemory::Resolve(DevicePtr pointer, size_t bytes) const {
  const bool found = Find(pointer ^ kDeviceBit, bytes, device_) != nullptr;
  return found ? HostAddress(pointer) : nullptr;
}

bool FakeMemory::IsPinned(const void* pointer, size_t bytes) const {
  return Find(reinterpret_cast<uintptr_t>(pointer), bytes, pinned_) != nullptr;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
