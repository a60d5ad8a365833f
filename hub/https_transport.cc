#include "hub/https_transport.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "hub/http_message.h"
#include "hub/response_reader.h"
#include "hub/speed_limit.h"
#include "hub/url.h"
#include "hub/wait.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

using std::chrono::milliseconds;

std::string Variable(Environment environment, const char* name) {
  const char* const value = environment(name);
  return value == nullptr ? "" : value;
}

// Without the query, which may be signed.
std::string Shown(const Url& url) {
  Url shown = url;
  shown.target = shown.target.substr(0, shown.target.find('?'));
  return shown.ToString();
}

std::string OriginOf(const Url& url) {
  return absl::StrCat(url.scheme, "://", HostAndPort(url));
}

bool IsPlainProxied(const Url& url, const absl::optional<Proxy>& proxy) {
  return proxy.has_value() && url.scheme == "http";
}

// What is sent; a proxy that is not asked for a tunnel is told the whole URL.
absl::StatusOr<std::string> TextOf(HttpRequest request, const Url& url,
                                   const absl::optional<Proxy>& proxy) {
  if (!IsPlainProxied(url, proxy)) {
    return RequestText(request, url, url.target);
  }
  if (!proxy->authorization.empty()) {
    request.fields.emplace_back("Proxy-Authorization", proxy->authorization);
  }
  return RequestText(request, url, url.ToString());
}

absl::Status CheckOptions(const HttpsOptions& options) {
  if (options.min_bytes_per_second < 0 || options.min_speed_window_ms < 1) {
    return ArgumentError(
        "min_bytes_per_second is negative, or min_speed_window_ms is not "
        "positive");
  }
  if (options.max_idle_ms < 0) return ArgumentError("max_idle_ms is negative");
  if (options.max_header_bytes < 256 || options.max_header_bytes > 65536) {
    return ArgumentError("max_header_bytes is not within 256 and 65536");
  }
  return absl::OkStatus();
}

}  // namespace

HttpsOptions HttpsOptionsFrom(Environment environment) {
  HttpsOptions options;
  options.proxies = ProxySettingsFrom(environment);
  options.ca_file = Variable(environment, "SSL_CERT_FILE");
  options.ca_dir = Variable(environment, "SSL_CERT_DIR");
  if (options.ca_file.empty() && options.ca_dir.empty()) {
    const std::string bundle = Variable(environment, "REQUESTS_CA_BUNDLE");
    std::error_code error;
    const bool is_dir = std::filesystem::is_directory(bundle, error);
    (is_dir ? options.ca_dir : options.ca_file) = bundle;
  }
  return options;
}

HttpsOptions HttpsOptionsFromProcess() {
  return HttpsOptionsFrom(
      [](const char* name) -> const char* { return std::getenv(name); });
}

// An exchange that goes on.
struct HttpsTransport::Call {
  const HttpRequest& request;
  const Url& url;
  const absl::optional<Proxy>& proxy;
  const std::string& text;
  absl::FunctionRef<absl::Status(const HttpResponse&)> on_response;
  BodySink sink;
  Wait* wait;
};

HttpsTransport::HttpsTransport(const HttpsOptions& options)
    : options_(options),
      connector_(options.ca_file, options.ca_dir),
      pool_(options.max_idle_connections, milliseconds(options.max_idle_ms)) {}

absl::StatusOr<std::unique_ptr<HttpsTransport>> HttpsTransport::Create(
    const HttpsOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  return std::unique_ptr<HttpsTransport>(new HttpsTransport(options));
}

absl::StatusOr<HttpResponse> HttpsTransport::Exchange(
    const HttpRequest& request,
    absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
    BodySink sink, CancelCheck is_cancelled) {
  if (request.timeout_ms < 1) {
    return ArgumentError(absl::StrCat("timeout_ms is ", request.timeout_ms,
                                      ", expected at least 1"));
  }
  PEFT_ASSIGN_OR_RETURN(const Url url, ParseUrl(request.url));
  PEFT_ASSIGN_OR_RETURN(const absl::optional<Proxy> proxy,
                        ProxyFor(url, options_.proxies));
  PEFT_ASSIGN_OR_RETURN(const std::string text, TextOf(request, url, proxy));
  Wait wait(is_cancelled, request.timeout_ms);
  // A callback's error is returned as it is, ours say what they are about.
  absl::Status callers;
  const auto keep = [&](absl::Status status) {
    callers = status;
    return status;
  };
  const auto checked_response = [&](const HttpResponse& response) {
    if (response.status == 407 && IsPlainProxied(url, proxy)) {
      return ProxyError(*proxy,
                        "status 407; its user or password is missing "
                        "or wrong");
    }
    return keep(on_response(response));
  };
  const auto checked_sink = [&](absl::Span<const uint8_t> part) {
    return keep(sink(part));
  };
  const Call call = {request,          url,          proxy, text,
                     checked_response, checked_sink, &wait};
  absl::StatusOr<HttpResponse> response = Run(call);
  if (response.ok()) return response;
  if (!callers.ok()) return callers;
  return WithContext(response.status(),
                     absl::StrCat(request.method, " ", Shown(url)));
}

absl::StatusOr<HttpResponse> HttpsTransport::Run(const Call& call) {
  const std::string origin = OriginOf(call.url);
  std::unique_ptr<ByteStream> stream = pool_.Take(origin);
  for (;;) {
    const bool was_kept = stream != nullptr;
    if (!was_kept) {
      PEFT_ASSIGN_OR_RETURN(stream,
                            connector_.Open(call.url, call.proxy, call.wait));
    }
    ResponseReader::Options options;
    options.has_body = call.request.method != "HEAD";
    options.max_header_bytes = options_.max_header_bytes;
    ResponseReader reader(options, call.on_response, call.sink);
    SpeedLimit speed(options_.min_bytes_per_second,
                     milliseconds(options_.min_speed_window_ms));
    const absl::Status status =
        Converse(call.text, stream.get(), &reader, call.wait, &speed);
    if (status.ok()) {
      if (reader.may_keep_connection()) pool_.Give(origin, std::move(stream));
      return reader.response();
    }
    const bool may_repeat = was_kept && !reader.has_begun() &&
                            ErrorId(status) == error_id::kHubConnect;
    if (!may_repeat) return status;
    stream = nullptr;
  }
}

}  // namespace hub
}  // namespace peft
