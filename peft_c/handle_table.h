// The objects behind the handles of the C ABI.
//
// A handle is a number in a pointer type and is never dereferenced, so that a
// program in any language that uses one too often, too late or in the wrong
// place gets an error instead of a crash.
#ifndef PEFT_C_HANDLE_TABLE_H_
#define PEFT_C_HANDLE_TABLE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "peft_c/handle_codec.h"

namespace peft {

// Thread-safe. A look-up takes one of several locks for some nanoseconds and
// copies a shared_ptr: whoever frees a handle meanwhile does not pull the
// object from under the call.
class HandleTable {
 public:
  // The table of the process. Never destroyed: other static objects' ends may
  // still free handles.
  static HandleTable& Global();

  HandleTable() = default;
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Stores `object` and returns its new handle. Throws std::bad_alloc when
  // memory or handles are out.
  uintptr_t Insert(HandleKind kind, std::shared_ptr<void> object);

  // The object of `handle`, or null when it is not a live one of `kind`.
  std::shared_ptr<void> Find(uintptr_t handle, HandleKind kind) const;

  // As Find, and ends the handle. The object goes with its last owner, not
  // under a lock.
  std::shared_ptr<void> Remove(uintptr_t handle, HandleKind kind);

  // Why Find gave null: "is NULL", "was already freed", "is a session,
  // expected a model", "is not a handle".
  std::string Explain(uintptr_t handle, HandleKind expected) const;

  // A handle of `kind` that Insert never returns, for an object that needs no
  // memory.
  static constexpr uintptr_t Reserved(HandleKind kind) {
    return Codec::Encode({kind, Codec::kSlots - 1, Codec::kGenerations - 1});
  }

  // The number of live handles, for tests that look for leaks.
  size_t size() const;

 private:
  using Codec = HandleCodec<uintptr_t>;
  static constexpr uint32_t kShardBits = 4;
  static constexpr uint32_t kShards = 1 << kShardBits;
  static constexpr uint32_t kNoSlot = ~uint32_t{0};

  struct Slot {
    std::shared_ptr<void> object;
    uint32_t generation = 1;              // of the object, or of the next one
    HandleKind kind = HandleKind::kNone;  // kNone: free
    uint32_t next_free = kNoSlot;         // index in the shard
  };

  // The slots whose number ends in the shard's own.
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::vector<Slot> slots;
    uint32_t first_free = kNoSlot;
    size_t live = 0;
  };

  enum class State { kLive, kFreed, kUnknown };

  Shard& ShardOf(const HandleParts& parts) {
    return shards_[parts.slot % kShards];
  }
  const Shard& ShardOf(const HandleParts& parts) const {
    return shards_[parts.slot % kShards];
  }

  // These ask for the shard's lock.
  static uint32_t TakeSlot(Shard& shard);
  static void ReleaseSlot(Shard& shard, uint32_t index);
  // The index of the live slot that `parts` name, or kNoSlot.
  static uint32_t LiveSlot(const Shard& shard, const HandleParts& parts);

  State StateOf(const HandleParts& parts) const;

  std::array<Shard, kShards> shards_;
  std::atomic<uint32_t> next_shard_{0};
};

// "model", "state dict": for messages.
const char* HandleKindName(HandleKind kind);

}  // namespace peft

#endif  // PEFT_C_HANDLE_TABLE_H_
