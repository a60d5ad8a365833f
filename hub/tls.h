// TLS 1.2 and 1.3: who is trusted, and a stream inside another one.
#ifndef HUB_TLS_H_
#define HUB_TLS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "hub/byte_stream.h"
#include "openssl/ssl.h"

namespace peft {
namespace hub {

// Whose certificates are trusted. Immutable: shared by all connections.
class TlsContext {
 public:
  // Trusts the certificates of the PEM file `ca_file` and of the PEM files in
  // the folders `ca_dir`, with colons between them; with both "", those of the
  // system's store. Fails with
  // UNAUTHENTICATED (HUB_TLS) if there are none.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(
      const std::string& ca_file, const std::string& ca_dir);

  // Shakes hands over `inner` with a server that proves to be `host`, a name or
  // an address. Fails with UNAUTHENTICATED (HUB_TLS) if it does not.
  absl::StatusOr<std::unique_ptr<ByteStream>> Connect(
      std::unique_ptr<ByteStream> inner, const std::string& host,
      const Wait& wait) const;

 private:
  explicit TlsContext(bssl::UniquePtr<SSL_CTX> context)
      : context_(std::move(context)) {}

  bssl::UniquePtr<SSL_CTX> context_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_TLS_H_
