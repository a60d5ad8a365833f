#include "peft_cc/adapters/adapter.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace peft {
namespace {

// Starts at 1, so that 0 can stand for "none" in a cache.
uint64_t NextGeneration() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Adapter::Adapter(AdapterConfig config, TensorMap state_dict,
                 std::vector<SiteEntry> entries)
    : generation_(NextGeneration()),
      config_(std::move(config)),
      state_dict_(std::move(state_dict)),
      entries_(std::move(entries)) {}

const SiteProgram* Adapter::FindProgram(int site) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), site,
      [](const SiteEntry& entry, int index) { return entry.site < index; });
  const bool is_there = found != entries_.end() && found->site == site;
  return is_there ? &found->program : nullptr;
}

}  // namespace peft
