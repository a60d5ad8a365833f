// The transport that is built in: HTTP/1.1 over TLS 1.2 or 1.3, or plain, with
// proxies, connections that are used again, and an end to every wait.
#ifndef HUB_HTTPS_TRANSPORT_H_
#define HUB_HTTPS_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "hub/connection_pool.h"
#include "hub/connector.h"
#include "hub/proxy.h"
#include "hub/settings.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

struct HttpsOptions {
  // Whose certificates are trusted: a PEM file, and folders of such with colons
  // between them; with both "" the system's store.
  std::string ca_file;
  std::string ca_dir;
  ProxySettings proxies;
  // A body that comes more slowly, on average over the window, is given up; 0
  // for never. Only time spent waiting for it counts.
  int64_t min_bytes_per_second = 1024;
  int min_speed_window_ms = 30000;
  // Connections kept for later, in all, and how long.
  size_t max_idle_connections = 16;
  int max_idle_ms = 60000;
  // Of an answer's status line and fields together.
  uint32_t max_header_bytes = 1 << 16;
};

// With the proxies of ProxySettingsFrom and the certificates of SSL_CERT_FILE
// and SSL_CERT_DIR, or if neither is set of REQUESTS_CA_BUNDLE, a file or a
// folder.
HttpsOptions HttpsOptionsFrom(Environment environment);

// HttpsOptionsFrom(getenv). Not while another thread changes the environment.
HttpsOptions HttpsOptionsFromProcess();

// See Transport. gzip is decoded where it comes; only a request's own
// Accept-Encoding asks for it. The request's timeout_ms is for each of: looking
// the host up, connecting, asking a proxy, TLS, the answer's header, and each
// wait for more of its body. An exchange on a connection that was kept, and
// that turns out to be closed before anything of the answer came, is repeated
// on a new one. No error names a header field's value, a password or the query
// of a URL. A lookup of a name that was given up goes on, on a thread of its
// own, until the system answers: until then do not unload the library.
class HttpsTransport : public Transport {
 public:
  // Reads no file and sends nothing. INVALID_ARGUMENT (ARGUMENT) for numbers
  // that are out of range.
  static absl::StatusOr<std::unique_ptr<HttpsTransport>> Create(
      const HttpsOptions& options);

  absl::StatusOr<HttpResponse> Exchange(
      const HttpRequest& request,
      absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
      BodySink sink, CancelCheck is_cancelled) override;

 private:
  struct Call;

  explicit HttpsTransport(const HttpsOptions& options);

  absl::StatusOr<HttpResponse> Run(const Call& call);

  const HttpsOptions options_;
  Connector connector_;
  ConnectionPool pool_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_HTTPS_TRANSPORT_H_
