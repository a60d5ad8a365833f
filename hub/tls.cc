#include "hub/tls.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "hub/trust_store.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// A few records, so that one read of the connection serves many.
constexpr size_t kInputSize = 64 << 10;
// At least a record and what belongs to it.
constexpr size_t kOutputSize = 20 << 10;

absl::Status TlsError(absl::string_view message) {
  return MakeError(absl::StatusCode::kUnauthenticated, error_id::kHubTls,
                   message);
}

// What the library calls `error`, one of its queue's.
std::string Reason(uint32_t error) {
  const char* const reason =
      error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

absl::Status StartError() {
  return TlsError(absl::StrCat("TLS cannot start: ", Reason(ERR_get_error())));
}

// Encrypted bytes on their way between the library and the connection: the
// library takes and leaves them here and never waits or fails by itself.
struct Pipe {
  std::vector<uint8_t> input = std::vector<uint8_t>(kInputSize);
  size_t input_begin = 0;
  size_t input_end = 0;
  std::vector<uint8_t> output = std::vector<uint8_t>(kOutputSize);
  size_t output_size = 0;
};

int ReadPipe(BIO* bio, char* bytes, int size) {
  auto* const pipe = static_cast<Pipe*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t count = std::min(static_cast<size_t>(std::max(size, 0)),
                                pipe->input_end - pipe->input_begin);
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(bytes, pipe->input.data() + pipe->input_begin, count);
  pipe->input_begin += count;
  return static_cast<int>(count);
}

int WritePipe(BIO* bio, const char* bytes, int size) {
  auto* const pipe = static_cast<Pipe*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t count = std::min(static_cast<size_t>(std::max(size, 0)),
                                pipe->output.size() - pipe->output_size);
  if (count == 0) {
    BIO_set_retry_write(bio);
    return -1;
  }
  std::memcpy(pipe->output.data() + pipe->output_size, bytes, count);
  pipe->output_size += count;
  return static_cast<int>(count);
}

long ControlPipe(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once, never freed.
const BIO_METHOD* PipeMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index(), "pipe");
    if (made != nullptr) {
      BIO_meth_set_read(made, ReadPipe);
      BIO_meth_set_write(made, WritePipe);
      BIO_meth_set_ctrl(made, ControlPipe);
    }
    return made;
  }();
  return method;
}

bool IsAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

class TlsStream : public ByteStream {
 public:
  explicit TlsStream(std::unique_ptr<ByteStream> inner)
      : inner_(std::move(inner)) {}

  // Before anything else. False if there is no memory.
  bool Init(SSL_CTX* context, const std::string& host) {
    ssl_.reset(SSL_new(context));
    BIO* const bio = PipeMethod() == nullptr ? nullptr : BIO_new(PipeMethod());
    if (ssl_ == nullptr || bio == nullptr) return false;
    BIO_set_data(bio, &pipe_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* const param = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (IsAddress(host)) {
      return X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1;
    }
    return SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size()) == 1;
  }

  absl::Status Handshake(const std::string& host, const Wait& wait) {
    const auto done =
        Pump(wait, [this] { return SSL_do_handshake(ssl_.get()); });
    const bool refused =
        ERR_GET_LIB(error_) == ERR_LIB_SSL &&
        ERR_GET_REASON(error_) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    if (done.ok() && *done == 0) {
      return TlsError("the server ended the TLS handshake");
    }
    if (!done.ok() && !refused) {
      return WithContext(done.status(), "in the TLS handshake");
    }
    const long verified = SSL_get_verify_result(ssl_.get());
    if (refused || verified != X509_V_OK) {
      return CertificateError(host, verified);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> bytes,
                              const Wait& wait) override {
    return Pump(wait, [this, bytes] {
      return SSL_read(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    });
  }

  absl::Status Write(absl::Span<const uint8_t> bytes,
                     const Wait& wait) override {
    while (!bytes.empty()) {
      PEFT_ASSIGN_OR_RETURN(const size_t size, Pump(wait, [this, bytes] {
                              return SSL_write(ssl_.get(), bytes.data(),
                                               static_cast<int>(bytes.size()));
                            }));
      bytes.remove_prefix(size);
    }
    return Flush(wait);
  }

  bool IsQuiet() override {
    return SSL_pending(ssl_.get()) == 0 &&
           pipe_.input_begin == pipe_.input_end && inner_->IsQuiet();
  }

 private:
  static absl::Status CertificateError(const std::string& host, long code) {
    return TlsError(absl::StrCat(
        "the certificate of \"", host,
        "\" is not trusted: ", X509_verify_cert_error_string(code),
        ". If a company's proxy is in between, name its certificate in "
        "SSL_CERT_FILE"));
  }

  // Repeats `step` of the library's, bringing and taking away what it needs,
  // until it is done: its result, or 0 when the other side has ended.
  template <typename Step>
  absl::StatusOr<size_t> Pump(const Wait& wait, Step step) {
    for (;;) {
      ERR_clear_error();
      const int result = step();
      if (result > 0) return static_cast<size_t>(result);
      switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
          PEFT_RETURN_IF_ERROR(Flush(wait));
          PEFT_RETURN_IF_ERROR(Fill(wait));
          break;
        case SSL_ERROR_WANT_WRITE:
          PEFT_RETURN_IF_ERROR(Flush(wait));
          break;
        case SSL_ERROR_ZERO_RETURN:
          return size_t{0};
        default:
          error_ = ERR_peek_last_error();
          return Failure(absl::StrCat("TLS failed: ", Reason(error_)));
      }
    }
  }

  // Later than in the handshake it is damage on the way, as any other.
  absl::Status Failure(absl::string_view message) const {
    if (SSL_in_init(ssl_.get())) return TlsError(message);
    return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                     absl::StrCat("the connection broke: ", message));
  }

  absl::Status Flush(const Wait& wait) {
    const size_t size = std::exchange(pipe_.output_size, 0);
    return inner_->Write(absl::MakeConstSpan(pipe_.output.data(), size), wait);
  }

  // An end without TLS's own is an error: anybody can cut a connection.
  absl::Status Fill(const Wait& wait) {
    PEFT_ASSIGN_OR_RETURN(const size_t size,
                          inner_->Read(absl::MakeSpan(pipe_.input), wait));
    if (size == 0) {
      return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                       "the connection was closed");
    }
    pipe_.input_begin = 0;
    pipe_.input_end = size;
    return absl::OkStatus();
  }

  const std::unique_ptr<ByteStream> inner_;
  Pipe pipe_;
  // Of the last step that failed, as the library numbers it.
  uint32_t error_ = 0;
  bssl::UniquePtr<SSL> ssl_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(
    const std::string& ca_file, const std::string& ca_dir) {
  // A protocol of its own, in the order of preference.
  constexpr uint8_t kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr ||
      SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_alpn_protos(context.get(), kHttp11, sizeof(kHttp11)) != 0) {
    return StartError();
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  PEFT_RETURN_IF_ERROR(
      FillTrustStore(ca_file, ca_dir, SSL_CTX_get_cert_store(context.get())));
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context)));
}

absl::StatusOr<std::unique_ptr<ByteStream>> TlsContext::Connect(
    std::unique_ptr<ByteStream> inner, const std::string& host,
    const Wait& wait) const {
  auto stream = std::make_unique<TlsStream>(std::move(inner));
  if (!stream->Init(context_.get(), host)) {
    return StartError();
  }
  PEFT_RETURN_IF_ERROR(stream->Handshake(host, wait));
  return stream;
}

}  // namespace hub
}  // namespace peft
