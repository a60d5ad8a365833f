// Certificates for tests, made when they are needed.
#ifndef HUB_TESTING_TEST_CERTIFICATES_H_
#define HUB_TESTING_TEST_CERTIFICATES_H_

#include <string>

#include "openssl/ssl.h"

namespace peft {
namespace hub {

// A certificate authority of a test's own, with a name of its own.
class TestAuthority {
 public:
  TestAuthority();

  // Its certificate, as a PEM file holds it.
  std::string Pem() const;

  // For a server with a certificate for `names` ("DNS:localhost",
  // "IP:127.0.0.1", with commas between) that is valid from now plus
  // `begin_seconds` to now plus `end_seconds`.
  bssl::UniquePtr<SSL_CTX> MakeServer(const std::string& names,
                                      long begin_seconds = -3600,
                                      long end_seconds = 3600) const;

 private:
  const std::string name_;
  bssl::UniquePtr<EVP_PKEY> key_;
  bssl::UniquePtr<X509> certificate_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_TESTING_TEST_CERTIFICATES_H_
