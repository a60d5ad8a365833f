#include "peft_c/host_transport.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr int32_t kGoOn = 0;
constexpr int32_t kEnd = 1;

absl::Status TransportError(absl::StatusCode code, const char* id,
                            const hub::HttpRequest& request,
                            absl::string_view what) {
  return MakeError(
      code, id,
      absl::StrCat(request.method, " by the program's transport: ", what),
      {"options.transport", "", ""});
}

absl::Status ErrorOf(int32_t returned, const hub::HttpRequest& request) {
  switch (returned) {
    case PEFT_TRANSPORT_TIMEOUT:
      return TransportError(absl::StatusCode::kDeadlineExceeded,
                            error_id::kHubTimeout, request, "timed out");
    case PEFT_TRANSPORT_TLS:
      return TransportError(absl::StatusCode::kUnauthenticated,
                            error_id::kHubTls, request,
                            "the server is not trusted");
    case PEFT_TRANSPORT_CONNECT:
      return TransportError(absl::StatusCode::kUnavailable,
                            error_id::kHubConnect, request,
                            "no connection, or it broke");
    default:
      return TransportError(absl::StatusCode::kUnavailable,
                            error_id::kHubConnect, request,
                            absl::StrCat("it returned ", returned,
                                         ", expected a PEFT_TRANSPORT_..."));
  }
}

// A request as the C ABI has it; a view of `request`.
class CRequest {
 public:
  explicit CRequest(const hub::HttpRequest& request) {
    for (const auto& [name, value] : request.fields) {
      names_.push_back(name.c_str());
      values_.push_back(value.c_str());
    }
    view_.struct_size = sizeof(view_);
    view_.method = request.method.c_str();
    view_.url = request.url.c_str();
    view_.field_names = names_.data();
    view_.field_values = values_.data();
    view_.num_fields = names_.size();
    view_.timeout_ms = request.timeout_ms;
  }

  const peft_http_request_t* view() const { return &view_; }

 private:
  std::vector<const char*> names_;
  std::vector<const char*> values_;
  peft_http_request_t view_ = {};
};

absl::StatusOr<hub::HttpResponse> ReadResponse(int32_t http_status,
                                               const char* const* names,
                                               const char* const* values,
                                               size_t num_fields) {
  if (http_status < 100 || http_status > 599) {
    return BadArgument("http_status", absl::StrCat("is ", http_status));
  }
  PEFT_RETURN_IF_ERROR(CheckArray("field_names", names, num_fields));
  PEFT_RETURN_IF_ERROR(CheckArray("field_values", values, num_fields));
  hub::HttpResponse response;
  response.status = http_status;
  for (size_t i = 0; i < num_fields; ++i) {
    if (names[i] == nullptr || values[i] == nullptr) {
      return BadArgument("field_names or field_values", "has a NULL");
    }
    response.fields.emplace_back(names[i], values[i]);
  }
  return response;
}

}  // namespace

absl::Status HostExchange::Respond(absl::StatusOr<hub::HttpResponse> response) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!status_.ok()) return status_;
  if (has_response_) {
    status_ = BadArgument("exchange", "has its head already");
  } else if (!response.ok()) {
    status_ = response.status();
  } else {
    has_response_ = true;
    response_ = *std::move(response);
    status_ = on_response_(response_);
  }
  return status_;
}

absl::Status HostExchange::Write(
    absl::StatusOr<absl::Span<const uint8_t>> bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!status_.ok()) return status_;
  if (!has_response_) {
    status_ = BadArgument("exchange", "has no head yet");
  } else if (!bytes.ok()) {
    status_ = bytes.status();
  } else {
    status_ = sink_(*bytes);
  }
  return status_;
}

bool HostExchange::IsCancelled() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !status_.ok() || is_cancelled_();
}

absl::StatusOr<absl::optional<hub::HttpResponse>> HostExchange::End() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const absl::Status status =
      std::exchange(status_, BadArgument("exchange", "has ended"));
  PEFT_RETURN_IF_ERROR(status);
  if (!has_response_) return absl::optional<hub::HttpResponse>();
  return absl::optional<hub::HttpResponse>(std::move(response_));
}

absl::StatusOr<hub::HttpResponse> HostTransport::Exchange(
    const hub::HttpRequest& request,
    absl::FunctionRef<absl::Status(const hub::HttpResponse&)> on_response,
    hub::BodySink sink, hub::CancelCheck is_cancelled) {
  const CRequest view(request);
  const auto exchange =
      std::make_shared<HostExchange>(on_response, sink, is_cancelled);
  const PendingHandle<peft_exchange_t> handle(exchange);
  int32_t returned = PEFT_TRANSPORT_CONNECT;
  try {
    returned = function_(user_data_, view.view(), handle.get());
  } catch (...) {
    returned = PEFT_TRANSPORT_CONNECT;
  }
  PEFT_ASSIGN_OR_RETURN(absl::optional<hub::HttpResponse> response,
                        exchange->End());
  if (is_cancelled()) {
    return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                     "cancelled while asking the Hub");
  }
  if (returned != PEFT_TRANSPORT_OK) return ErrorOf(returned, request);
  if (response.has_value()) return *std::move(response);
  return TransportError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                        request, "it handed over no answer");
}

}  // namespace peft

int32_t peft_exchange_respond(peft_exchange_t* exchange, int32_t http_status,
                              const char* const* field_names,
                              const char* const* field_values,
                              size_t num_fields) {
  return peft::GuardValue(peft::kEnd, [&] {
    const auto object = peft::Find(exchange);
    if (object == nullptr) return peft::kEnd;
    const absl::Status status = object->Respond(
        peft::ReadResponse(http_status, field_names, field_values, num_fields));
    return status.ok() ? peft::kGoOn : peft::kEnd;
  });
}

int32_t peft_exchange_write(peft_exchange_t* exchange, const void* data,
                            size_t size) {
  return peft::GuardValue(peft::kEnd, [&] {
    const auto object = peft::Find(exchange);
    if (object == nullptr) return peft::kEnd;
    absl::StatusOr<absl::Span<const uint8_t>> bytes =
        absl::MakeConstSpan(static_cast<const uint8_t*>(data), size);
    const absl::Status array =
        peft::CheckArray("data", data, size, size_t{1} << 40);
    if (!array.ok()) bytes = array;
    return object->Write(bytes).ok() ? peft::kGoOn : peft::kEnd;
  });
}

int32_t peft_exchange_is_cancelled(peft_exchange_t* exchange) {
  return peft::GuardValue(peft::kEnd, [&] {
    const auto object = peft::Find(exchange);
    return object == nullptr || object->IsCancelled() ? peft::kEnd
                                                      : peft::kGoOn;
  });
}
