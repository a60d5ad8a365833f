// Opens connections to servers, directly or through a proxy.
#ifndef HUB_CONNECTOR_H_
#define HUB_CONNECTOR_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "hub/byte_stream.h"
#include "hub/proxy.h"
#include "hub/tls.h"
#include "hub/url.h"
#include "hub/wait.h"

namespace peft {
namespace hub {

// Thread-safe.
class Connector {
 public:
  // See TlsContext::Load. The certificates are read when they are needed first.
  Connector(std::string ca_file, std::string ca_dir)
      : ca_file_(std::move(ca_file)), ca_dir_(std::move(ca_dir)) {}

  // A connection on which requests to url's origin can be sent; each phase has
  // all of wait's time. Fails as Transport::Exchange.
  absl::StatusOr<std::unique_ptr<ByteStream>> Open(
      const Url& url, const absl::optional<Proxy>& proxy, Wait* wait);

 private:
  using Stream = absl::StatusOr<std::unique_ptr<ByteStream>>;

  Stream OpenDirectly(const Url& url, Wait* wait);
  Stream OpenTunnel(const Url& url, const Proxy& proxy, Wait* wait);
  Stream StartTls(std::unique_ptr<ByteStream> inner, const Url& url,
                  Wait* wait);
  absl::StatusOr<std::shared_ptr<const TlsContext>> Context();

  const std::string ca_file_;
  const std::string ca_dir_;
  std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
};

// An error that was the proxy's, as UNAVAILABLE (HUB_PROXY).
absl::Status ProxyError(const Proxy& proxy, absl::string_view message);

}  // namespace hub
}  // namespace peft

#endif  // HUB_CONNECTOR_H_
