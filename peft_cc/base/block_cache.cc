#include "peft_cc/base/block_cache.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "peft_cc/base/huge_pages.h"

namespace peft {
namespace {

constexpr size_t kMaxBlocks = 4;

struct Block {
  std::shared_ptr<uint8_t> memory;
  uint64_t size = 0;
};

// Whether `block` may stand for one of `size` bytes: adapters of one kind
// differ by little but their headers, and what is over should not add up.
bool Fits(const Block& block, uint64_t size) {
  return block.memory != nullptr && block.size >= size &&
         block.size - size <= size / 32;
}

}  // namespace

class BlockCache::Kept {
 public:
  // A block for `size` bytes; one without memory where none fits.
  Block Take(uint64_t size) {
    absl::MutexLock lock(&mutex_);
    Block* const found =
        std::find_if(std::begin(blocks_), std::end(blocks_),
                     [&](const Block& block) { return Fits(block, size); });
    if (found == std::end(blocks_)) return {};
    Block taken = std::exchange(*found, {});
    std::rotate(std::begin(blocks_), found, found + 1);
    return taken;
  }

  // Never fails, as the last owner of a block may be anywhere.
  void Put(Block block) {
    LetPagesGo(block.memory.get(), block.size);
    absl::MutexLock lock(&mutex_);
    if (block.size > limit_) return;
    while (Bytes() + block.size > limit_) DropOldest();
    if (blocks_[0].memory != nullptr) DropOldest();
    blocks_[0] = std::move(block);
    std::rotate(std::begin(blocks_), std::begin(blocks_) + 1,
                std::end(blocks_));
  }

  void SetLimit(uint64_t max_bytes) {
    absl::MutexLock lock(&mutex_);
    limit_ = std::min(max_bytes, kMaxKept);
    while (Bytes() > limit_) DropOldest();
  }

  uint64_t Bytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uint64_t bytes = 0;
    for (const Block& block : blocks_) bytes += block.size;
    return bytes;
  }

  uint64_t LockedBytes() const {
    absl::MutexLock lock(&mutex_);
    return Bytes();
  }

 private:
  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Block& block : blocks_) {
      if (block.memory == nullptr) continue;
      block = {};
      return;
    }
  }

  mutable absl::Mutex mutex_;
  // Free places first, then the blocks, the one that is there longest first.
  Block blocks_[kMaxBlocks] ABSL_GUARDED_BY(mutex_);
  uint64_t limit_ ABSL_GUARDED_BY(mutex_) = kMaxKept;
};

BlockCache::BlockCache() : kept_(std::make_shared<Kept>()) {}

BlockCache::~BlockCache() = default;

std::shared_ptr<uint8_t> BlockCache::Allocate(uint64_t size) {
  Block block = kept_->Take(size);
  if (block.memory == nullptr) block = {AllocateBlock(size), size};
  if (block.memory == nullptr || size < kHugePage) return block.memory;
  uint8_t* const memory = block.memory.get();
  return std::shared_ptr<uint8_t>(
      memory, [kept = std::weak_ptr<Kept>(kept_),
               block = std::move(block)](uint8_t*) mutable {
        const std::shared_ptr<Kept> cache = kept.lock();
        if (cache != nullptr) cache->Put(std::move(block));
      });
}

void BlockCache::SetLimit(uint64_t max_bytes) { kept_->SetLimit(max_bytes); }

uint64_t BlockCache::kept_bytes() const { return kept_->LockedBytes(); }

}  // namespace peft
