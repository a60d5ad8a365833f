// One request and its answer on a connection that stands.
#ifndef HUB_HTTP_MESSAGE_H_
#define HUB_HTTP_MESSAGE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/byte_stream.h"
#include "hub/response_reader.h"
#include "hub/speed_limit.h"
#include "hub/transport.h"
#include "hub/url.h"
#include "hub/wait.h"

namespace peft {
namespace hub {

// The host as "Host" and CONNECT name it: an IPv6 address in brackets, and the
// port.
std::string HostAndPort(const Url& url);

// What is sent for `request`, whose URL is `url`; `target` is what is asked
// for: url's, or all of it where a proxy is asked. INVALID_ARGUMENT (ARGUMENT)
// for a method or field that would be no or another request.
absl::StatusOr<std::string> RequestText(const HttpRequest& request,
                                        const Url& url,
                                        absl::string_view target);

// Sends `text` and reads the answer. Fails as `reader`, `wait`, `speed` and the
// stream do.
absl::Status Converse(absl::string_view text, ByteStream* stream,
                      ResponseReader* reader, Wait* wait, SpeedLimit* speed);

}  // namespace hub
}  // namespace peft

#endif  // HUB_HTTP_MESSAGE_H_
