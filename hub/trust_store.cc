#include "hub/trust_store.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

// A bundle of all public authorities has a quarter of a megabyte.
constexpr uint64_t kMaxFileSize = 32 << 20;

// Where systems keep their bundle; the first that is there is taken.
constexpr const char* kSystemFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",                   // older Fedora
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine, macOS, BSD
};
constexpr const char* kSystemDirs[] = {
    "/system/etc/security/cacerts",  // Android
    "/etc/ssl/certs",
};

absl::Status TrustError(absl::string_view where) {
  return MakeError(
      absl::StatusCode::kUnauthenticated, error_id::kHubTls,
      absl::StrCat("no trusted certificates were found in ", where,
                   ": a PEM file was expected. Name one in SSL_CERT_FILE"));
}

// True if the last read of PEM found no more; other errors are forgotten.
bool IsAtEnd() {
  const uint32_t error = ERR_peek_last_error();
  ERR_clear_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM &&
         ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

// Adds the certificates of a PEM file; returns how many it holds. What is
// between them, such as comments, keys and broken ones, is skipped.
int AddFile(const fs::path& path, X509_STORE* store) {
  const absl::StatusOr<std::string> text =
      ReadTextFile(path.string(), kMaxFileSize);
  if (!text.ok()) return 0;
  ERR_clear_error();
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text->data(), text->size()));
  int count = 0;
  while (bio != nullptr && !IsAtEnd()) {
    const bssl::UniquePtr<X509> certificate(
        PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
    // One that is there already is no error.
    if (certificate != nullptr &&
        X509_STORE_add_cert(store, certificate.get()) == 1) {
      ++count;
    }
  }
  return count;
}

int AddDir(const fs::path& path, X509_STORE* store) {
  int count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) count += AddFile(*entry, store);
  }
  return count;
}

absl::Status AddSystem(X509_STORE* store) {
  for (const char* const file : kSystemFiles) {
    if (AddFile(file, store) > 0) return absl::OkStatus();
  }
  for (const char* const dir : kSystemDirs) {
    if (AddDir(dir, store) > 0) return absl::OkStatus();
  }
  return TrustError(
      "the system's store (the package ca-certificates may be missing)");
}

}  // namespace

absl::Status FillTrustStore(const std::string& ca_file,
                            const std::string& ca_dir, X509_STORE* store) {
  if (ca_file.empty() && ca_dir.empty()) return AddSystem(store);
  if (!ca_file.empty() && AddFile(ca_file, store) == 0) {
    return TrustError(absl::StrCat("the file \"", ca_file, "\""));
  }
  int count = 0;
  for (const absl::string_view dir :
       absl::StrSplit(ca_dir, ':', absl::SkipEmpty())) {
    count += AddDir(std::string(dir), store);
  }
  if (!ca_dir.empty() && count == 0) {
    return TrustError(absl::StrCat("the folder \"", ca_dir, "\""));
  }
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft
