// URLs as the Hub's client needs them: http and https, absolute or relative to
// another one.
#ifndef HUB_URL_H_
#define HUB_URL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {
namespace hub {

// An absolute URL in parts, all as they travel: encoded, ASCII.
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address without its brackets
  uint16_t port = 0;   // the scheme's where none is named
  std::string target;  // path and query, at least "/"

  // scheme, host and port: what credentials belong to.
  bool HasOriginOf(const Url& other) const;

  // Without a port that is the scheme's own.
  std::string ToString() const;
};

// Fails with INVALID_ARGUMENT (HUB_URL) for anything that is no absolute http
// or https URL, names a user or password, or holds blanks, control characters
// or bytes that are not ASCII. A fragment is dropped.
absl::StatusOr<Url> ParseUrl(absl::string_view text);

// `reference`, absolute or relative ("//host/x", "/x", "x", "?q"), as seen from
// `base` (RFC 3986, 5.2). Fails as ParseUrl.
absl::StatusOr<Url> ResolveUrl(const Url& base, absl::string_view reference);

// Percent-encodes all bytes but letters, digits, "-._~" and those in `safe`.
std::string PercentEncode(absl::string_view text, absl::string_view safe = "");

}  // namespace hub
}  // namespace peft

#endif  // HUB_URL_H_
