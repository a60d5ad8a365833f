#include "testing/misuse/pool.h"

#include <algorithm>
#include <utility>

#include "testing/misuse/tables.h"

namespace peft {

Pool::Pool() : kinds_(HandleInfos().size()) {}

Pool::~Pool() {
  Random random(0);
  FreeAll(random);
}

void Pool::Add(size_t kind, void* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  // What the library frees is dead for whoever keeps it.
  const bool is_lent = HandleInfos()[kind].free == nullptr;
  (is_lent ? kinds_[kind].dead : kinds_[kind].live).push_back(handle);
}

void Pool::Freed(size_t kind, void* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<void*>& live = kinds_[kind].live;
  const auto found = std::find(live.begin(), live.end(), handle);
  if (found == live.end()) return;
  live.erase(found);
  kinds_[kind].dead.push_back(handle);
}

void* Pool::Live(size_t kind, Random& random) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<void*>& live = kinds_[kind].live;
  return live.empty() ? nullptr : random.Of(live);
}

void* Pool::Dead(size_t kind, Random& random) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::vector<void*>& dead = kinds_[kind].dead;
  return dead.empty() ? nullptr : random.Of(dead);
}

size_t Pool::num_live(size_t kind) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return kinds_[kind].live.size();
}

void Pool::Keep(std::unique_ptr<char[]> memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  kept_.push_back(std::move(memory));
}

void Pool::FreeAll(Random& random) {
  const std::lock_guard<std::mutex> lock(mutex_);
  struct Left {
    size_t kind;
    void* handle;
  };
  std::vector<Left> all;
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    for (void* handle : kinds_[kind].live) all.push_back({kind, handle});
    kinds_[kind] = Handles();
  }
  for (size_t i = all.size(); i > 1; --i) {
    std::swap(all[i - 1], all[random.Below(i)]);
  }
  for (const Left& left : all) HandleInfos()[left.kind].free(left.handle);
  kept_.clear();
}

}  // namespace peft
