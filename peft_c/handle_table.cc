#include "peft_c/handle_table.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace peft {

HandleTable& HandleTable::Global() {
  static HandleTable* const table = new HandleTable;
  return *table;
}

uint32_t HandleTable::TakeSlot(Shard& shard) {
  if (shard.first_free != kNoSlot) {
    return std::exchange(shard.first_free,
                         shard.slots[shard.first_free].next_free);
  }
  // One less than fits, so that a reserved handle is nobody's.
  if (shard.slots.size() >= Codec::kSlots / kShards - 1) throw std::bad_alloc();
  shard.slots.emplace_back();
  return static_cast<uint32_t>(shard.slots.size() - 1);
}

void HandleTable::ReleaseSlot(Shard& shard, uint32_t index) {
  Slot& slot = shard.slots[index];
  slot.kind = HandleKind::kNone;
  --shard.live;
  if (++slot.generation == Codec::kGenerations) {
    // A generation that came again could bring a stale handle back to life.
    // With 30 bits the slot is retired instead; with 10 that would soon be all
    // of them.
    if (Codec::kWide) return;
    slot.generation = 1;
  }
  slot.next_free = std::exchange(shard.first_free, index);
}

uintptr_t HandleTable::Insert(HandleKind kind, std::shared_ptr<void> object) {
  const uint32_t number =
      next_shard_.fetch_add(1, std::memory_order_relaxed) % kShards;
  Shard& shard = shards_[number];
  std::lock_guard<std::mutex> lock(shard.mutex);
  const uint32_t index = TakeSlot(shard);
  Slot& slot = shard.slots[index];
  slot.object = std::move(object);
  slot.kind = kind;
  ++shard.live;
  return Codec::Encode({kind, index << kShardBits | number, slot.generation});
}

uint32_t HandleTable::LiveSlot(const Shard& shard, const HandleParts& parts) {
  const uint32_t index = parts.slot >> kShardBits;
  if (index >= shard.slots.size()) return kNoSlot;
  const Slot& slot = shard.slots[index];
  const bool same =
      slot.kind == parts.kind && slot.generation == parts.generation;
  return same ? index : kNoSlot;
}

std::shared_ptr<void> HandleTable::Find(uintptr_t handle,
                                        HandleKind kind) const {
  HandleParts parts;
  if (!Codec::Decode(handle, &parts) || parts.kind != kind) return nullptr;
  const Shard& shard = ShardOf(parts);
  std::lock_guard<std::mutex> lock(shard.mutex);
  const uint32_t index = LiveSlot(shard, parts);
  return index == kNoSlot ? nullptr : shard.slots[index].object;
}

std::shared_ptr<void> HandleTable::Remove(uintptr_t handle, HandleKind kind) {
  HandleParts parts;
  if (!Codec::Decode(handle, &parts) || parts.kind != kind) return nullptr;
  Shard& shard = ShardOf(parts);
  std::lock_guard<std::mutex> lock(shard.mutex);
  const uint32_t index = LiveSlot(shard, parts);
  if (index == kNoSlot) return nullptr;
  std::shared_ptr<void> object = std::move(shard.slots[index].object);
  ReleaseSlot(shard, index);
  return object;
}

HandleTable::State HandleTable::StateOf(const HandleParts& parts) const {
  const Shard& shard = ShardOf(parts);
  const uint32_t index = parts.slot >> kShardBits;
  std::lock_guard<std::mutex> lock(shard.mutex);
  if (index >= shard.slots.size()) return State::kUnknown;
  const Slot& slot = shard.slots[index];
  if (parts.generation < slot.generation) return State::kFreed;
  if (parts.generation > slot.generation) return State::kUnknown;
  return slot.kind == parts.kind ? State::kLive : State::kUnknown;
}

std::string HandleTable::Explain(uintptr_t handle, HandleKind expected) const {
  if (handle == 0) return "is NULL";
  HandleParts parts;
  if (!Codec::Decode(handle, &parts)) return "is not a handle";
  const State state = StateOf(parts);
  if (state == State::kUnknown) return "is not a handle";
  if (parts.kind == expected) return "was already freed";
  return absl::StrCat("is a ", state == State::kFreed ? "freed " : "",
                      HandleKindName(parts.kind), ", expected a ",
                      HandleKindName(expected));
}

size_t HandleTable::size() const {
  size_t live = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard<std::mutex> lock(shard.mutex);
    live += shard.live;
  }
  return live;
}

const char* HandleKindName(HandleKind kind) {
  switch (kind) {
    case HandleKind::kNone:
      break;
    case HandleKind::kStatus:
      return "status";
    case HandleKind::kString:
      return "string";
    case HandleKind::kStringList:
      return "string list";
    case HandleKind::kTensor:
      return "tensor";
    case HandleKind::kStateDict:
      return "state dict";
    case HandleKind::kModel:
      return "model";
    case HandleKind::kLoadReport:
      return "load report";
    case HandleKind::kSession:
      return "session";
    case HandleKind::kGenerateResult:
      return "generate result";
    case HandleKind::kActivation:
      return "activation";
    case HandleKind::kProbeReport:
      return "probe report";
    case HandleKind::kExchange:
      return "exchange";
    case HandleKind::kLayerRunner:
      return "layer runner";
    case HandleKind::kLowered:
      return "lowered layer";
  }
  return "handle";
}

}  // namespace peft
