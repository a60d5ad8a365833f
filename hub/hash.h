// The hashes that the Hub names files by: SHA-256 for large files, and git's
// SHA-1 of a blob for others.
#ifndef HUB_HASH_H_
#define HUB_HASH_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "absl/types/variant.h"
#include "openssl/sha.h"

namespace peft {
namespace hub {

// Of digests in hexadecimal digits.
inline constexpr size_t kSha1Digits = 2 * SHA_DIGEST_LENGTH;
inline constexpr size_t kSha256Digits = 2 * SHA256_DIGEST_LENGTH;

// True for `size` lower-case hexadecimal digits.
bool IsHexDigest(absl::string_view text, size_t size);

// True for what the Hub gives as the etag of a file: a digest of either kind.
bool IsBlobName(absl::string_view etag);

// A digest of bytes that come in parts. Copies go on separately.
// Thread-compatible.
class Digest {
 public:
  static Digest Sha256();
  static Digest Sha1();

  // The one that names a file of `size` bytes which the Hub calls `etag`, for
  // which IsBlobName: SHA-256 for 64 digits, else git's.
  static Digest ForBlob(absl::string_view etag, uint64_t size);

  void Update(absl::Span<const uint8_t> bytes);

  // Of all bytes so far, in lower-case digits. More may follow.
  std::string Hex() const;

 private:
  explicit Digest(const absl::variant<SHA_CTX, SHA256_CTX>& state)
      : state_(state) {}

  absl::variant<SHA_CTX, SHA256_CTX> state_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_HASH_H_
