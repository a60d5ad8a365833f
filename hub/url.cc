#include "hub/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// As much of a URL as a message shows.
constexpr size_t kShown = 200;

uint16_t DefaultPort(absl::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

// The part of `text` that holds no password and no signature.
std::string Shown(absl::string_view text) {
  const size_t query = text.find_first_of("?#");
  absl::string_view shown = text.substr(0, query);
  const size_t user = shown.rfind('@');
  if (user != absl::string_view::npos) shown.remove_prefix(user + 1);
  return absl::CHexEscape(shown.substr(0, kShown));
}

absl::Status UrlError(absl::string_view text, absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kHubUrl,
      absl::StrCat("\"", Shown(text), "\" is no URL to fetch from: ", problem,
                   "; expected https://HOST/PATH or http://HOST/PATH"));
}

absl::Status CheckBytes(absl::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (clean) return absl::OkStatus();
  return UrlError(text,
                  "it holds blanks, control characters or other bytes that "
                  "must be percent-encoded");
}

bool IsHostName(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
           c == '.' || c == '_';
  });
}

bool IsIpv6(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// Takes the host from the front of `authority`; what is left is "" or begins
// with the port's colon.
bool TakeHost(absl::string_view* authority, std::string* host) {
  if (!absl::StartsWith(*authority, "[")) {
    const size_t end = std::min(authority->find(':'), authority->size());
    *host = absl::AsciiStrToLower(authority->substr(0, end));
    authority->remove_prefix(end);
    return IsHostName(*host);
  }
  const size_t end = authority->find(']');
  if (end == absl::string_view::npos) return false;
  *host = absl::AsciiStrToLower(authority->substr(1, end - 1));
  authority->remove_prefix(end + 1);
  return IsIpv6(*host);
}

// `text` is "" or a colon and what follows it.
bool ParsePort(absl::string_view text, uint16_t* port) {
  if (text.empty() || text == ":") return true;
  const absl::string_view digits = text.substr(1);
  const bool all_digits =
      std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  uint32_t value = 0;
  if (text[0] != ':' || !all_digits || !absl::SimpleAtoi(digits, &value) ||
      value == 0 || value > 65535) {
    return false;
  }
  *port = static_cast<uint16_t>(value);
  return true;
}

absl::string_view WithoutFragment(absl::string_view text) {
  return text.substr(0, text.find('#'));
}

absl::string_view PathOf(absl::string_view target) {
  return target.substr(0, target.find('?'));
}

// RFC 3986, 5.2.4; `path` begins with a slash, the result too.
std::string WithoutDots(absl::string_view path) {
  const std::vector<absl::string_view> segments =
      absl::StrSplit(path.substr(1), '/');
  std::vector<absl::string_view> kept;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool is_dots = segments[i] == "." || segments[i] == "..";
    if (segments[i] == ".." && !kept.empty()) kept.pop_back();
    if (!is_dots) {
      kept.push_back(segments[i]);
    } else if (i + 1 == segments.size()) {
      kept.push_back("");
    }
  }
  return absl::StrCat("/", absl::StrJoin(kept, "/"));
}

std::string TargetWithoutDots(absl::string_view target) {
  const absl::string_view path = PathOf(target);
  return absl::StrCat(WithoutDots(path), target.substr(path.size()));
}

// True for "x:..." where x can be a scheme.
bool HasScheme(absl::string_view reference) {
  const size_t end = reference.find_first_of(":/?#");
  return end != absl::string_view::npos && reference[end] == ':';
}

// The target that `reference`, which names neither scheme nor host, leads to.
std::string MergedTarget(absl::string_view base, absl::string_view reference) {
  if (reference.empty()) return std::string(base);
  const absl::string_view path = PathOf(base);
  if (reference[0] == '?') return absl::StrCat(path, reference);
  if (reference[0] == '/') return TargetWithoutDots(reference);
  const absl::string_view folder = path.substr(0, path.rfind('/') + 1);
  return TargetWithoutDots(absl::StrCat(folder, reference));
}

}  // namespace

bool Url::HasOriginOf(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string Url::ToString() const {
  const bool is_ipv6 = absl::StrContains(host, ':');
  std::string text =
      absl::StrCat(scheme, "://", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "");
  if (port != DefaultPort(scheme)) absl::StrAppend(&text, ":", port);
  return absl::StrCat(text, target);
}

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  PEFT_RETURN_IF_ERROR(CheckBytes(text));
  const size_t scheme_end = text.find("://");
  if (scheme_end == absl::string_view::npos) {
    return UrlError(text, "it is not absolute");
  }
  Url url;
  url.scheme = absl::AsciiStrToLower(text.substr(0, scheme_end));
  if (url.scheme != "http" && url.scheme != "https") {
    return UrlError(text, "its scheme is neither http nor https");
  }
  url.port = DefaultPort(url.scheme);
  const absl::string_view rest = WithoutFragment(text.substr(scheme_end + 3));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  absl::string_view authority = rest.substr(0, end);
  if (absl::StrContains(authority, '@')) {
    return UrlError(text, "it names a user or password");
  }
  if (!TakeHost(&authority, &url.host)) {
    return UrlError(text, "its host is missing or not a name or address");
  }
  if (!ParsePort(authority, &url.port)) {
    return UrlError(text, "its port is no number from 1 to 65535");
  }
  url.target = std::string(rest.substr(end));
  if (!absl::StartsWith(url.target, "/")) url.target.insert(0, "/");
  return url;
}

absl::StatusOr<Url> ResolveUrl(const Url& base, absl::string_view reference) {
  PEFT_RETURN_IF_ERROR(CheckBytes(reference));
  Url url = base;
  if (HasScheme(reference)) {
    PEFT_ASSIGN_OR_RETURN(url, ParseUrl(reference));
    url.target = TargetWithoutDots(url.target);
  } else if (absl::StartsWith(reference, "//")) {
    PEFT_ASSIGN_OR_RETURN(url,
                          ParseUrl(absl::StrCat(base.scheme, ":", reference)));
    url.target = TargetWithoutDots(url.target);
  } else {
    url.target = MergedTarget(base.target, WithoutFragment(reference));
  }
  return url;
}

std::string PercentEncode(absl::string_view text, absl::string_view safe) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr absl::string_view kUnreserved = "-._~";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || absl::StrContains(kUnreserved, c) ||
        absl::StrContains(safe, c)) {
      encoded.push_back(c);
    } else {
      encoded.push_back('%');
      encoded.push_back(kHex[byte >> 4]);
      encoded.push_back(kHex[byte & 15]);
    }
  }
  return encoded;
}

}  // namespace hub
}  // namespace peft
