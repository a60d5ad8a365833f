#include "hub/proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// An IP address as its bytes.
struct Ip {
  uint8_t bytes[16] = {};
  int size = 0;  // 4 or 16
};

absl::optional<Ip> ParseIp(absl::string_view text) {
  const std::string copy(text);
  Ip ip;
  if (inet_pton(AF_INET, copy.c_str(), ip.bytes) == 1) {
    ip.size = 4;
  } else if (inet_pton(AF_INET6, copy.c_str(), ip.bytes) == 1) {
    ip.size = 16;
  } else {
    return absl::nullopt;
  }
  return ip;
}

// True if the first `bits` bits of both are the same.
bool InNetwork(const Ip& ip, const Ip& network, int bits) {
  if (ip.size != network.size) return false;
  const int whole = bits / 8;
  if (std::memcmp(ip.bytes, network.bytes, whole) != 0) return false;
  const int rest = bits % 8;
  if (rest == 0) return true;
  const int mask = 0xff << (8 - rest) & 0xff;
  return ((ip.bytes[whole] ^ network.bytes[whole]) & mask) == 0;
}

// `rule` is "10.0.0.0/8" or the like.
bool MatchesNetwork(const Url& url, absl::string_view rule) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(rule, absl::MaxSplits('/', 1));
  const auto network = ParseIp(parts.first);
  const auto ip = ParseIp(url.host);
  int bits = 0;
  if (!network.has_value() || !ip.has_value() ||
      !absl::SimpleAtoi(parts.second, &bits) || bits < 0 ||
      bits > network->size * 8) {
    return false;
  }
  return InNetwork(*ip, *network, bits);
}

// Cuts ":8080" off. False if the port is not the URL's.
bool TakePort(const Url& url, absl::string_view* rule) {
  const size_t colon = rule->rfind(':');
  const bool is_bare_ipv6 = absl::StartsWith(*rule, "[")
                                ? absl::EndsWith(*rule, "]")
                                : colon != rule->find(':');
  if (colon == absl::string_view::npos || is_bare_ipv6) return true;
  int port = 0;
  const bool matches =
      absl::SimpleAtoi(rule->substr(colon + 1), &port) && port == url.port;
  *rule = rule->substr(0, colon);
  return matches;
}

bool MatchesName(const std::string& host, absl::string_view rule) {
  absl::ConsumePrefix(&rule, "*");
  if (rule.empty()) return false;
  if (rule[0] == '.') return absl::EndsWith(host, rule);
  if (host == rule) return true;
  if (rule == "localhost") return false;
  return absl::EndsWith(host, absl::StrCat(".", rule));
}

bool Matches(const Url& url, absl::string_view rule) {
  if (rule == "*") return true;
  if (absl::StrContains(rule, '/')) return MatchesNetwork(url, rule);
  if (!TakePort(url, &rule)) return false;
  if (absl::ConsumePrefix(&rule, "[")) absl::ConsumeSuffix(&rule, "]");
  const auto ip = ParseIp(rule);
  if (!ip.has_value()) return MatchesName(url.host, rule);
  const auto host = ParseIp(url.host);
  return host.has_value() && InNetwork(*host, *ip, ip->size * 8);
}

bool IsDirect(const Url& url, absl::string_view no_proxy) {
  const std::string lower = absl::AsciiStrToLower(no_proxy);
  for (const absl::string_view part : absl::StrSplit(lower, ',')) {
    const absl::string_view rule = absl::StripAsciiWhitespace(part);
    if (!rule.empty() && Matches(url, rule)) return true;
  }
  return false;
}

// Replaces %XX; other uses of '%' stay.
std::string PercentDecode(absl::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    if (text.size() >= 3 && text[0] == '%' &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[1])) &&
        absl::ascii_isxdigit(static_cast<unsigned char>(text[2]))) {
      absl::StrAppend(&decoded, absl::HexStringToBytes(text.substr(1, 2)));
      text.remove_prefix(3);
    } else {
      decoded.push_back(text[0]);
      text.remove_prefix(1);
    }
  }
  return decoded;
}

// "user:password", as it stands in a URL, as basic credentials.
std::string BasicAuthorization(absl::string_view user_info) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(user_info, absl::MaxSplits(':', 1));
  const std::string credentials = absl::StrCat(PercentDecode(parts.first), ":",
                                               PercentDecode(parts.second));
  return absl::StrCat("Basic ", absl::Base64Escape(credentials));
}

absl::StatusOr<Proxy> ParseProxy(absl::string_view text) {
  absl::string_view scheme = "http";
  absl::string_view rest = text;
  const size_t end = text.find("://");
  if (end != absl::string_view::npos) {
    scheme = text.substr(0, end);
    rest = text.substr(end + 3);
  }
  Proxy proxy;
  // A password may hold anything, unencoded slashes too.
  const size_t at = rest.rfind('@');
  if (at != absl::string_view::npos) {
    proxy.authorization = BasicAuthorization(rest.substr(0, at));
    rest.remove_prefix(at + 1);
  }
  const absl::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  auto url = ParseUrl(absl::StrCat(scheme, "://", authority));
  if (!url.ok()) return WithContext(url.status(), "the proxy's address");
  proxy.url = *std::move(url);
  return proxy;
}

// The value of the variable `upper`, in lower case if that is set.
absl::optional<std::string> ProxyVariable(Environment environment,
                                          const std::string& upper) {
  const std::string lower = absl::AsciiStrToLower(upper);
  const char* value = environment(lower.c_str());
  // A server that runs programs for its visitors sets this from a header.
  const bool is_visitors =
      upper == "HTTP_PROXY" && environment("REQUEST_METHOD") != nullptr;
  if (value == nullptr && !is_visitors) value = environment(upper.c_str());
  if (value == nullptr) return absl::nullopt;
  return std::string(absl::StripAsciiWhitespace(value));
}

}  // namespace

ProxySettings ProxySettingsFrom(Environment environment) {
  const std::string all =
      ProxyVariable(environment, "ALL_PROXY").value_or(std::string());
  ProxySettings settings;
  settings.http = ProxyVariable(environment, "HTTP_PROXY").value_or(all);
  settings.https = ProxyVariable(environment, "HTTPS_PROXY").value_or(all);
  settings.no_proxy =
      ProxyVariable(environment, "NO_PROXY").value_or(std::string());
  return settings;
}

ProxySettings ProxySettingsOf(absl::Span<const std::string> proxies) {
  ProxySettings settings;
  std::string all;
  for (const std::string& proxy : proxies) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(proxy, absl::MaxSplits('=', 1));
    if (parts.first == "http") settings.http = std::string(parts.second);
    if (parts.first == "https") settings.https = std::string(parts.second);
    if (parts.first == "all") all = std::string(parts.second);
  }
  if (settings.http.empty()) settings.http = all;
  if (settings.https.empty()) settings.https = all;
  return settings;
}

absl::StatusOr<absl::optional<Proxy>> ProxyFor(const Url& url,
                                               const ProxySettings& settings) {
  const std::string& text =
      url.scheme == "https" ? settings.https : settings.http;
  if (text.empty() || IsDirect(url, settings.no_proxy)) {
    return absl::optional<Proxy>();
  }
  PEFT_ASSIGN_OR_RETURN(Proxy proxy, ParseProxy(text));
  return absl::optional<Proxy>(std::move(proxy));
}

}  // namespace hub
}  // namespace peft
