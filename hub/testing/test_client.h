// Exchanges as tests make them.
#ifndef HUB_TESTING_TEST_CLIENT_H_
#define HUB_TESTING_TEST_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "hub/https_transport.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

struct Fetched {
  absl::Status status;
  HttpResponse response;
  std::string body;
};

inline std::unique_ptr<HttpsTransport> MakeTransport(
    const HttpsOptions& options = {}) {
  return HttpsTransport::Create(options).value();
}

inline Fetched Fetch(
    Transport* transport, const HttpRequest& request,
    CancelCheck is_cancelled = [] { return false; }) {
  Fetched fetched;
  const auto response = transport->Exchange(
      request, [](const HttpResponse&) { return absl::OkStatus(); },
      [&](absl::Span<const uint8_t> part) {
        fetched.body.append(part.begin(), part.end());
        return absl::OkStatus();
      },
      is_cancelled);
  fetched.status = response.status();
  if (response.ok()) fetched.response = *response;
  return fetched;
}

inline Fetched Fetch(Transport* transport, const std::string& url) {
  HttpRequest request;
  request.url = url;
  return Fetch(transport, request);
}

}  // namespace hub
}  // namespace peft

#endif  // HUB_TESTING_TEST_CLIENT_H_
