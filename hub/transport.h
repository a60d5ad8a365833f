// One HTTP exchange at a time, as the Hub's client needs it: the seam between
// what is asked and how it travels. A program with its own network stack
// implements this; hub/https_transport.h is ours.
#ifndef HUB_TRANSPORT_H_
#define HUB_TRANSPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {
namespace hub {

// Header fields in order. Names are matched without regard to case.
using HeaderFields = std::vector<std::pair<std::string, std::string>>;

// The value of the first field `name`; "" where there is none.
absl::string_view FindField(const HeaderFields& fields, absl::string_view name);

struct HttpRequest {
  std::string method = "GET";  // GET or HEAD
  std::string url;             // absolute, http or https, already encoded
  HeaderFields fields;         // all but Host and Connection
  // For connecting, and between any two parts of the answer.
  int timeout_ms = 10000;
};

// An answer without its body. Redirects are answers like others: a transport
// follows none.
struct HttpResponse {
  int status = 0;
  HeaderFields fields;
};

// Takes the next part of a body, decoded (gzip, chunked) in order. An error
// ends the exchange and is returned by it, as it is.
using BodySink = absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)>;

// True when the exchange is to end soon. Asked at least ten times a second,
// also while nothing arrives.
using CancelCheck = absl::FunctionRef<bool()>;

// Thread-safe: exchanges run at once, each on its caller's thread.
class Transport {
 public:
  virtual ~Transport() = default;

  // Sends `request`; hands the answer to `on_response` before the first part of
  // its body, and the parts to `sink`. An error of on_response ends the
  // exchange before the body. Returns the answer when the body is complete:
  // a connection that ends too early is an error.
  //
  // Errors: UNAVAILABLE (HUB_CONNECT: no connection, a reset, a broken answer),
  // DEADLINE_EXCEEDED (HUB_TIMEOUT), UNAUTHENTICATED (HUB_TLS: the certificate
  // is not trusted, expired or another host's), UNAVAILABLE (HUB_PROXY),
  // CANCELLED (CANCELLED), INVALID_ARGUMENT (HUB_URL), and those of the two
  // callbacks.
  virtual absl::StatusOr<HttpResponse> Exchange(
      const HttpRequest& request,
      absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
      BodySink sink, CancelCheck is_cancelled) = 0;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_TRANSPORT_H_
