// The hashes that the Hub names files by: SHA-256 for large files, and git's
// SHA-1 of a blob for others.
#ifndef HUB_HASH_H_
#define HUB_HASH_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {
namespace hub {

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
  using State = std::array<uint32_t, 8>;
  using Block = std::array<uint8_t, 64>;
  using Compress = void (*)(const uint8_t* block, State* state);

  Digest(Compress compress, int words, const State& state)
      : compress_(compress), words_(words), state_(state) {}

  static void CompressSha1(const uint8_t* block, State* state);
  static void CompressSha256(const uint8_t* block, State* state);

  Compress compress_;
  int words_;  // of the state that the digest is made of
  State state_;
  Block block_ = {};   // what does not fill one yet
  uint64_t size_ = 0;  // bytes so far
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_HASH_H_
