// Which proxy a request goes through.
#ifndef HUB_PROXY_H_
#define HUB_PROXY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "hub/settings.h"
#include "hub/url.h"

namespace peft {
namespace hub {

struct Proxy {
  Url url;
  // The value of Proxy-Authorization; "" for none. Secret.
  std::string authorization;
};

// As the variables of the environment say it; "" for none.
struct ProxySettings {
  // For http:// and https://: "http://user:password@host:3128". The scheme may
  // be left out, the password may be percent-encoded.
  std::string http;
  std::string https;
  // Hosts that are reached directly, with commas between them: "*" for all,
  // "a.b" for it and what is below, ".a.b" and "*.a.b" for what is below,
  // addresses, "localhost", networks as "10.0.0.0/8". Each but the last may
  // name a port: "a.b:8080", "[::1]:80".
  std::string no_proxy;
};

// HTTP_PROXY, HTTPS_PROXY, NO_PROXY, and ALL_PROXY for the first two that are
// not set. Where a name in lower case is set too it wins, even if it is empty.
ProxySettings ProxySettingsFrom(Environment environment);

// Those of "scheme=URL" texts, the schemes http, https and all; what no text is
// for is reached directly. Texts of other forms say nothing.
ProxySettings ProxySettingsOf(absl::Span<const std::string> proxies);

// The proxy for `url`, or none. Fails with INVALID_ARGUMENT (HUB_URL) if the
// settings name no http or https proxy.
absl::StatusOr<absl::optional<Proxy>> ProxyFor(const Url& url,
                                               const ProxySettings& settings);

}  // namespace hub
}  // namespace peft

#endif  // HUB_PROXY_H_
