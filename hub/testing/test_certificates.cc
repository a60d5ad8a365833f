#include "hub/testing/test_certificates.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "openssl/bio.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/ssl.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace peft {
namespace hub {
namespace {

void Require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "test_certificates: cannot make %s\n", what);
  std::abort();
}

bssl::UniquePtr<EVP_PKEY> MakeKey() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Require(EC_KEY_generate_key(ec.get()) == 1 &&
              EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1,
          "a key");
  return key;
}

void AddExtension(int nid, const std::string& value, X509* certificate) {
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, nullptr, nid, value.c_str()));
  Require(extension != nullptr &&
              X509_add_ext(certificate, extension.get(), -1) == 1,
          value.c_str());
}

void SetName(X509_NAME* name, const std::string& text) {
  const auto* const bytes =
      reinterpret_cast<const unsigned char*>(text.c_str());
  Require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, bytes, -1, -1,
                                     0) == 1,
          "a name");
}

// Unlike any other in this process.
long NextNumber() {
  static std::atomic<long> number{1};
  return number++;
}

// All but what is signed last: extensions, and the signature.
bssl::UniquePtr<X509> MakeCertificate(EVP_PKEY* key, const std::string& subject,
                                      const std::string& issuer,
                                      long begin_seconds, long end_seconds) {
  bssl::UniquePtr<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), NextNumber());
  X509_gmtime_adj(X509_get_notBefore(certificate.get()), begin_seconds);
  X509_gmtime_adj(X509_get_notAfter(certificate.get()), end_seconds);
  SetName(X509_get_subject_name(certificate.get()), subject);
  SetName(X509_get_issuer_name(certificate.get()), issuer);
  Require(X509_set_pubkey(certificate.get(), key) == 1, "a certificate");
  return certificate;
}

}  // namespace

TestAuthority::TestAuthority()
    : name_(absl::StrCat("Test authority ", NextNumber())),
      key_(MakeKey()),
      certificate_(MakeCertificate(key_.get(), name_, name_, -3600, 86400)) {
  AddExtension(NID_basic_constraints, "critical,CA:TRUE", certificate_.get());
  AddExtension(NID_key_usage, "critical,keyCertSign", certificate_.get());
  Require(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0,
          "a signature");
}

std::string TestAuthority::Pem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  Require(PEM_write_bio_X509(bio.get(), certificate_.get()) == 1, "PEM");
  const uint8_t* data = nullptr;
  size_t size = 0;
  Require(BIO_mem_contents(bio.get(), &data, &size) == 1, "PEM");
  return std::string(reinterpret_cast<const char*>(data), size);
}

bssl::UniquePtr<SSL_CTX> TestAuthority::MakeServer(const std::string& names,
                                                   long begin_seconds,
                                                   long end_seconds) const {
  const bssl::UniquePtr<EVP_PKEY> key = MakeKey();
  const bssl::UniquePtr<X509> certificate = MakeCertificate(
      key.get(), "Test server", name_, begin_seconds, end_seconds);
  AddExtension(NID_subject_alt_name, names, certificate.get());
  Require(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0,
          "a signature");
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  Require(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
              SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1,
          "a server");
  return context;
}

}  // namespace hub
}  // namespace peft
