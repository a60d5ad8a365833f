// A TCP connection whose every wait can be ended.
#ifndef HUB_TCP_STREAM_H_
#define HUB_TCP_STREAM_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/byte_stream.h"
#include "hub/name_lookup.h"

namespace peft {
namespace hub {

// Connects to the first of `addresses` that answers. The next is tried as soon
// as one fails, or beside it when it is silent for a quarter of a second: an
// address that leads nowhere, as IPv6 does on many networks, costs no more.
absl::StatusOr<std::unique_ptr<ByteStream>> ConnectTcp(
    const std::vector<Address>& addresses, const Wait& wait);

}  // namespace hub
}  // namespace peft

#endif  // HUB_TCP_STREAM_H_
