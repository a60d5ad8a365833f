// Connections that may serve another request.
#ifndef HUB_CONNECTION_POOL_H_
#define HUB_CONNECTION_POOL_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "hub/byte_stream.h"

namespace peft {
namespace hub {

// Thread-safe.
class ConnectionPool {
 public:
  // Keeps at most `max_idle` connections, none longer than `max_age`.
  ConnectionPool(size_t max_idle, std::chrono::milliseconds max_age)
      : max_idle_(max_idle), max_age_(max_age) {}

  // The connection to `origin` that was given last and is still alive as far as
  // can be seen; null if there is none.
  std::unique_ptr<ByteStream> Take(const std::string& origin);

  // Gives back a connection on which nothing is going on. The oldest one has to
  // go where there are too many.
  void Give(const std::string& origin, std::unique_ptr<ByteStream> stream);

 private:
  struct Idle {
    std::string origin;
    std::unique_ptr<ByteStream> stream;
    std::chrono::steady_clock::time_point since;
  };

  void DropOld();

  const size_t max_idle_;
  const std::chrono::milliseconds max_age_;
  std::mutex mutex_;
  std::vector<Idle> idle_;  // the oldest first
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_CONNECTION_POOL_H_
