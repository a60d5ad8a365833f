// Memory of large blocks that went, for those that come.
#ifndef PEFT_CC_BASE_BLOCK_CACHE_H_
#define PEFT_CC_BASE_BLOCK_CACHE_H_

#include <cstdint>
#include <memory>

namespace peft {

// Hands out blocks of memory and keeps some of those that come back: the system
// clears fresh memory before it is filled, which costs as much as filling it,
// and in a virtual machine that has given it back several times that. What is
// kept, the system may take whenever it runs short (MADV_FREE). Thread-safe;
// blocks may outlive the cache.
class BlockCache {
 public:
  // What is kept at most.
  static constexpr uint64_t kMaxKept = 64u << 20;

  BlockCache();
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // Memory as of AllocateBlock, with what was in it before, that comes back to
  // this cache once nothing owns it. Blocks that fill no huge page do not.
  std::shared_ptr<uint8_t> Allocate(uint64_t size);

  // Keeps at most `max_bytes`, and never more than kMaxKept; what is more goes.
  void SetLimit(uint64_t max_bytes);

  // The bytes that are kept.
  uint64_t kept_bytes() const;

 private:
  class Kept;

  const std::shared_ptr<Kept> kept_;
};

}  // namespace peft

#endif  // PEFT_CC_BASE_BLOCK_CACHE_H_
