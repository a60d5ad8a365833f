// The addresses of a host, without waiting for a resolver that hangs.
#ifndef HUB_NAME_LOOKUP_H_
#define HUB_NAME_LOOKUP_H_

#include <netdb.h>
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/wait.h"

namespace peft {
namespace hub {

// For connect().
struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

// As getaddrinfo: 0 and the addresses, or one of the EAI_ numbers.
using Resolver = std::function<int(const std::string& host, uint16_t port,
                                   std::vector<Address>* addresses)>;

// The addresses of `host`, a name or an address, in the order in which to try
// them; at least one. Names are looked up by the system on a thread of their
// own, which a caller that gives up leaves behind: it ends when the system has
// its answer. UNAVAILABLE (HUB_CONNECT) if there are none, and Wait's errors.
absl::StatusOr<std::vector<Address>> LookUp(const std::string& host,
                                            uint16_t port, const Wait& wait);

// The same with another resolver, called on the other thread. For tests.
absl::StatusOr<std::vector<Address>> LookUp(const std::string& host,
                                            uint16_t port, const Wait& wait,
                                            Resolver resolver);

}  // namespace hub
}  // namespace peft

#endif  // HUB_NAME_LOOKUP_H_
