// A program's own network stack, as the Hub's client knows one.
#ifndef PEFT_C_HOST_TRANSPORT_H_
#define PEFT_C_HOST_TRANSPORT_H_

#include <cstdint>
#include <mutex>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "hub/transport.h"
#include "peft_c/handle.h"
#include "peft_c/peft_c.h"

namespace peft {

// Calls `function` for each request. Thread-safe if that is.
class HostTransport : public hub::Transport {
 public:
  HostTransport(peft_transport_fn function, void* user_data)
      : function_(function), user_data_(user_data) {}

  // An exception that leaves the function is HUB_CONNECT.
  absl::StatusOr<hub::HttpResponse> Exchange(
      const hub::HttpRequest& request,
      absl::FunctionRef<absl::Status(const hub::HttpResponse&)> on_response,
      hub::BodySink sink, hub::CancelCheck is_cancelled) override;

 private:
  const peft_transport_fn function_;
  void* const user_data_;
};

// One exchange, as the program sees it. Thread-safe, so that a program that
// still uses it when it has returned, on another thread, does no harm.
class HostExchange {
 public:
  HostExchange(
      absl::FunctionRef<absl::Status(const hub::HttpResponse&)> on_response,
      hub::BodySink sink, hub::CancelCheck is_cancelled)
      : on_response_(on_response), sink_(sink), is_cancelled_(is_cancelled) {}

  // These keep the first error: nothing is taken after it.
  absl::Status Respond(absl::StatusOr<hub::HttpResponse> response);
  absl::Status Write(absl::StatusOr<absl::Span<const uint8_t>> bytes);
  bool IsCancelled();

  // The head, if there was one, or the first error. Nothing is taken after it,
  // and nothing that the constructor got is called.
  absl::StatusOr<absl::optional<hub::HttpResponse>> End();

 private:
  std::mutex mutex_;
  absl::FunctionRef<absl::Status(const hub::HttpResponse&)> on_response_;
  hub::BodySink sink_;
  hub::CancelCheck is_cancelled_;
  bool has_response_ = false;
  hub::HttpResponse response_;
  absl::Status status_;
};

template <>
struct HandleTraits<peft_exchange_t> {
  using Object = HostExchange;
  static constexpr HandleKind kKind = HandleKind::kExchange;
};

}  // namespace peft

#endif  // PEFT_C_HOST_TRANSPORT_H_
