#include "hub/connection_pool.h"

#include <algorithm>
#include <utility>

namespace peft {
namespace hub {

std::unique_ptr<ByteStream> ConnectionPool::Take(const std::string& origin) {
  const std::lock_guard<std::mutex> lock(mutex_);
  DropOld();
  for (size_t i = idle_.size(); i-- > 0;) {
    if (idle_[i].origin != origin) continue;
    std::unique_ptr<ByteStream> stream = std::move(idle_[i].stream);
    idle_.erase(idle_.begin() + i);
    if (stream->IsQuiet()) return stream;
  }
  return nullptr;
}

void ConnectionPool::Give(const std::string& origin,
                          std::unique_ptr<ByteStream> stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  DropOld();
  idle_.push_back(
      {origin, std::move(stream), std::chrono::steady_clock::now()});
  if (idle_.size() > max_idle_) idle_.erase(idle_.begin());
}

void ConnectionPool::DropOld() {
  const auto oldest = std::chrono::steady_clock::now() - max_age_;
  const auto first_kept =
      std::find_if(idle_.begin(), idle_.end(),
                   [&](const Idle& idle) { return idle.since >= oldest; });
  idle_.erase(idle_.begin(), first_kept);
}

}  // namespace hub
}  // namespace peft
