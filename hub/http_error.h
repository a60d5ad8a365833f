// What went wrong with a request: the error it is, and whether another try may
// help.
#ifndef HUB_HTTP_ERROR_H_
#define HUB_HTTP_ERROR_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "hub/transport.h"
#include "hub/url.h"

namespace peft {
namespace hub {

// A request that failed.
struct Failure {
  absl::Status status;
  // False where the same request would fail again.
  bool is_transient = false;
  // How long the server asks to wait; -1 where it does not say.
  int64_t wait_ms = -1;
  int http_status = 0;  // 0: no answer
};

// An exchange that ended with `status`, an error.
Failure FailureOf(const absl::Status& status);

// An answer with a status of 400 or above. `body` is its beginning, `subject`
// what was asked for, such as "org/name". `from_hub`: by the endpoint itself
// and not by a server that it sent us to. The query of `url`, which may hold a
// signature, is not repeated.
Failure FailureOf(const HttpResponse& response, absl::string_view body,
                  const Url& url, absl::string_view subject, bool from_hub);

// `url` without its query.
std::string ForMessage(const Url& url);

// How long `fields` ask to wait, in seconds: the t of a RateLimit whose r is 0,
// else Retry-After in its numeric form; -1 for neither.
int64_t RetryAfter(const HeaderFields& fields);

}  // namespace hub
}  // namespace peft

#endif  // HUB_HTTP_ERROR_H_
