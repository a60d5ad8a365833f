// What the loaded adapters take, and which of them go under a limit.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/adapter_size.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/base/error.h"

namespace peft {

AdapterRegistry::Named AdapterRegistry::MakeNamed(
    const std::string& name, std::shared_ptr<const Adapter> adapter,
    AdapterOrigin origin) const {
  Named named;
  named.name = name;
  named.origin = std::move(origin);
  named.size_bytes = ResidentBytes(*adapter, *sites_);
  named.adapter = std::move(adapter);
  named.lease = std::make_shared<const bool>(true);
  return named;
}

bool AdapterRegistry::IsActive(const std::string& name) const {
  return std::any_of(active_.begin(), active_.end(),
                     [&](const Choice& choice) { return choice.name == name; });
}

absl::StatusOr<AdapterInfo> AdapterRegistry::Info(
    const std::string& name) const {
  absl::ReaderMutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  const Named& named = *Find(name);
  AdapterInfo info;
  info.adapter = named.adapter;
  info.origin = named.origin;
  info.size_bytes = named.size_bytes;
  info.scale = named.scale;
  info.is_active = IsActive(name);
  info.is_pinned = named.is_pinned;
  return info;
}

AdapterUsage AdapterRegistry::Usage() const {
  absl::ReaderMutexLock lock(&mutex_);
  AdapterUsage usage;
  for (const Named& named : adapters_) {
    usage.num_adapters += named.adapter != nullptr;
  }
  usage.size_bytes = LoadedBytes();
  return usage;
}

int64_t AdapterRegistry::LoadedBytes() const {
  int64_t bytes = 0;
  for (const Named& named : adapters_) bytes += named.size_bytes;
  return bytes;
}

void AdapterRegistry::LimitBlocks() {
  const int64_t left = limit_.max_bytes - LoadedBytes();
  blocks_.SetLimit(limit_.max_bytes == 0 ? BlockCache::kMaxKept
                                         : std::max<int64_t>(left, 0));
}

absl::StatusOr<std::vector<std::string>> AdapterRegistry::Evictions(
    const RoomWanted& wanted, const std::string& replaced,
    const AdapterLimit& limit) const {
  std::vector<Resident> residents;
  std::vector<std::string> names;
  for (const Named& named : adapters_) {
    if (named.adapter == nullptr || named.name == replaced) continue;
    // Leases are given out under the lock: a count of 1 cannot rise meanwhile.
    const bool can_go = !named.is_pinned && !named.origin.is_trainable &&
                        named.lease.use_count() == 1 && !IsActive(named.name) &&
                        !merged_.Has(named.name);
    residents.push_back({named.size_bytes, named.last_use, can_go});
    names.push_back(named.name);
  }
  PEFT_ASSIGN_OR_RETURN(const std::vector<size_t> chosen,
                        ChooseEvictions(residents, wanted, limit));
  std::vector<std::string> evicted;
  for (const size_t i : chosen) evicted.push_back(std::move(names[i]));
  return evicted;
}

absl::Status AdapterRegistry::SetLimit(const AdapterLimit& limit) {
  if (limit.max_bytes < 0 || limit.max_adapters < 0) {
    return ArgumentError(absl::StrCat("the limit is ", limit.max_bytes,
                                      " bytes and ", limit.max_adapters,
                                      " adapters, expected 0 (none) or more"));
  }
  Removed removed;
  absl::MutexLock lock(&mutex_);
  PEFT_ASSIGN_OR_RETURN(std::vector<std::string> evicted,
                        Evictions({}, "", limit));
  removed.adapters.reserve(evicted.size());
  Evict(std::move(evicted), removed);
  limit_ = limit;
  LimitBlocks();
  return absl::OkStatus();
}

bool AdapterRegistry::HasLimit() const {
  absl::ReaderMutexLock lock(&mutex_);
  return limit_.max_bytes > 0 || limit_.max_adapters > 0;
}

absl::Status AdapterRegistry::CheckRoom(int64_t bytes,
                                        const std::string& replaced) const {
  absl::ReaderMutexLock lock(&mutex_);
  return Evictions({bytes, 1}, replaced, limit_).status();
}

absl::Status AdapterRegistry::SetPinned(const std::string& name, bool pinned) {
  absl::MutexLock lock(&mutex_);
  PEFT_RETURN_IF_ERROR(CheckKnown({name}));
  Find(name)->is_pinned = pinned;
  return absl::OkStatus();
}

}  // namespace peft
