// Where the certificates that are trusted lie.
#ifndef HUB_TRUST_STORE_H_
#define HUB_TRUST_STORE_H_

#include <string>

#include "absl/status/status.h"
#include "openssl/base.h"

namespace peft {
namespace hub {

// Adds to `store` what `ca_file` and the folders `ca_dir`, with colons between
// them, hold, or with both "" what the system trusts. UNAUTHENTICATED (HUB_TLS)
// if that is no certificate at all.
absl::Status FillTrustStore(const std::string& ca_file,
                            const std::string& ca_dir, X509_STORE* store);

}  // namespace hub
}  // namespace peft

#endif  // HUB_TRUST_STORE_H_
