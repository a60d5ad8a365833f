#include "hub/connector.h"

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "hub/http_message.h"
#include "hub/name_lookup.h"
#include "hub/response_reader.h"
#include "hub/speed_limit.h"
#include "hub/tcp_stream.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// What goes wrong on the way to the proxy is the proxy's error; what is the
// wait's or TLS's keeps its id.
absl::Status OnTheWayTo(const Proxy& proxy, const absl::Status& status) {
  if (ErrorId(status) == error_id::kHubConnect) {
    return ProxyError(proxy, status.message());
  }
  return WithContext(status,
                     absl::StrCat("at the proxy ", HostAndPort(proxy.url)));
}

// Asks the proxy behind `stream` for a tunnel to url's host.
absl::Status AskForTunnel(const Url& url, const Proxy& proxy,
                          ByteStream* stream, Wait* wait) {
  const std::string host = HostAndPort(url);
  std::string text =
      absl::StrCat("CONNECT ", host, " HTTP/1.1\r\nHost: ", host, "\r\n");
  if (!proxy.authorization.empty()) {
    absl::StrAppend(&text, "Proxy-Authorization: ", proxy.authorization,
                    "\r\n");
  }
  absl::StrAppend(&text, "\r\n");
  const auto on_response = [&](const HttpResponse& response) {
    if (response.status / 100 == 2) return absl::OkStatus();
    return ProxyError(
        proxy, absl::StrCat("it refuses to connect to ", host, ": status ",
                            response.status,
                            response.status == 407
                                ? "; its user or password is missing or wrong"
                                : ""));
  };
  const auto sink = [](absl::Span<const uint8_t>) { return absl::OkStatus(); };
  ResponseReader::Options options;
  options.has_body = false;
  ResponseReader reader(options, on_response, sink);
  SpeedLimit any_speed(0, std::chrono::milliseconds(0));
  const absl::Status status = Converse(text, stream, &reader, wait, &any_speed);
  if (!status.ok() && !reader.is_callers_error()) {
    return OnTheWayTo(proxy, status);
  }
  return status;
}

}  // namespace

absl::Status ProxyError(const Proxy& proxy, absl::string_view message) {
  return MakeError(
      absl::StatusCode::kUnavailable, error_id::kHubProxy,
      absl::StrCat("the proxy ", HostAndPort(proxy.url), ": ", message));
}

Connector::Stream Connector::Open(const Url& url,
                                  const absl::optional<Proxy>& proxy,
                                  Wait* wait) {
  if (!proxy.has_value()) return OpenDirectly(url, wait);
  if (url.scheme == "https") return OpenTunnel(url, *proxy, wait);
  Stream stream = OpenDirectly(proxy->url, wait);
  if (!stream.ok()) return OnTheWayTo(*proxy, stream.status());
  return stream;
}

Connector::Stream Connector::OpenDirectly(const Url& url, Wait* wait) {
  wait->Begin("looking up the host's address");
  PEFT_ASSIGN_OR_RETURN(const std::vector<Address> addresses,
                        LookUp(url.host, url.port, *wait));
  wait->Begin("connecting");
  PEFT_ASSIGN_OR_RETURN(std::unique_ptr<ByteStream> stream,
                        ConnectTcp(addresses, *wait));
  if (url.scheme != "https") return stream;
  return StartTls(std::move(stream), url, wait);
}

Connector::Stream Connector::OpenTunnel(const Url& url, const Proxy& proxy,
                                        Wait* wait) {
  Stream stream = OpenDirectly(proxy.url, wait);
  if (!stream.ok()) return OnTheWayTo(proxy, stream.status());
  PEFT_RETURN_IF_ERROR(AskForTunnel(url, proxy, stream->get(), wait));
  return StartTls(*std::move(stream), url, wait);
}

Connector::Stream Connector::StartTls(std::unique_ptr<ByteStream> inner,
                                      const Url& url, Wait* wait) {
  PEFT_ASSIGN_OR_RETURN(const auto context, Context());
  wait->Begin("the TLS handshake");
  return context->Connect(std::move(inner), url.host, *wait);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> Connector::Context() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (context_ == nullptr) {
    PEFT_ASSIGN_OR_RETURN(context_, TlsContext::Load(ca_file_, ca_dir_));
  }
  return context_;
}

}  // namespace hub
}  // namespace peft
