#include "hub/hash.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace peft {
namespace hub {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kSha1Digits = 40;
constexpr size_t kSha256Digits = 64;

// FIPS 180-4, 4.2.2.
constexpr uint32_t kRoundSha256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t Left(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }
uint32_t Right(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

uint32_t LoadBigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
         uint32_t{bytes[2]} << 8 | bytes[3];
}

// The lowest `size` bytes of `value`.
void StoreBigEndian(uint64_t value, int size, uint8_t* bytes) {
  for (int i = size; i > 0; value >>= 8) {
    bytes[--i] = static_cast<uint8_t>(value);
  }
}

}  // namespace

bool IsHexDigest(absl::string_view text, size_t size) {
  return text.size() == size &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool IsBlobName(absl::string_view etag) {
  return IsHexDigest(etag, kSha1Digits) || IsHexDigest(etag, kSha256Digits);
}

Digest Digest::Sha256() {
  return Digest(CompressSha256, 8,
                {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                 0x9b05688c, 0x1f83d9ab, 0x5be0cd19});
}

Digest Digest::Sha1() {
  return Digest(CompressSha1, 5,
                {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0});
}

Digest Digest::ForBlob(absl::string_view etag, uint64_t size) {
  if (etag.size() == kSha256Digits) return Sha256();
  Digest git = Sha1();
  const std::string header = absl::StrCat("blob ", size);
  // With the NUL at its end.
  git.Update(absl::MakeConstSpan(
      reinterpret_cast<const uint8_t*>(header.c_str()), header.size() + 1));
  return git;
}

void Digest::Update(absl::Span<const uint8_t> bytes) {
  const size_t filled = size_ % kBlock;
  size_ += bytes.size();
  if (filled > 0) {
    const size_t taken = std::min(kBlock - filled, bytes.size());
    std::copy_n(bytes.data(), taken, block_.data() + filled);
    bytes.remove_prefix(taken);
    if (filled + taken < kBlock) return;
    compress_(block_.data(), &state_);
  }
  while (bytes.size() >= kBlock) {
    compress_(bytes.data(), &state_);
    bytes.remove_prefix(kBlock);
  }
  std::copy(bytes.begin(), bytes.end(), block_.begin());
}

std::string Digest::Hex() const {
  Digest last = *this;
  uint8_t padding[2 * kBlock] = {0x80};
  // One bit and the length, in whole blocks.
  const size_t used = size_ % kBlock;
  const size_t zeros = (used < kBlock - 8 ? kBlock : 2 * kBlock) - used - 8;
  StoreBigEndian(size_ * 8, 8, padding + zeros);
  last.Update(absl::MakeConstSpan(padding, zeros + 8));
  uint8_t bytes[32];
  for (int i = 0; i < words_; ++i) {
    StoreBigEndian(last.state_[i], 4, bytes + 4 * i);
  }
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(bytes), 4 * static_cast<size_t>(words_)));
}

void Digest::CompressSha1(const uint8_t* block, State* state) {
  uint32_t w[80];
  for (int i = 0; i < 16; ++i) w[i] = LoadBigEndian(block + 4 * i);
  for (int i = 16; i < 80; ++i) {
    w[i] = Left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  }
  uint32_t a = (*state)[0], b = (*state)[1], c = (*state)[2], d = (*state)[3],
           e = (*state)[4];
  for (int i = 0; i < 80; ++i) {
    const uint32_t f = i < 20   ? (b & c) | (~b & d)
                       : i < 40 ? b ^ c ^ d
                       : i < 60 ? (b & c) | (b & d) | (c & d)
                                : b ^ c ^ d;
    constexpr uint32_t kRound[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc,
                                   0xca62c1d6};
    const uint32_t next = Left(a, 5) + f + e + kRound[i / 20] + w[i];
    e = d;
    d = c;
    c = Left(b, 30);
    b = a;
    a = next;
  }
  const uint32_t sum[] = {a, b, c, d, e};
  for (int i = 0; i < 5; ++i) (*state)[i] += sum[i];
}

void Digest::CompressSha256(const uint8_t* block, State* state) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i) w[i] = LoadBigEndian(block + 4 * i);
  for (int i = 16; i < 64; ++i) {
    const uint32_t s0 =
        Right(w[i - 15], 7) ^ Right(w[i - 15], 18) ^ (w[i - 15] >> 3);
    const uint32_t s1 =
        Right(w[i - 2], 17) ^ Right(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  State s = *state;
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = Right(s[4], 6) ^ Right(s[4], 11) ^ Right(s[4], 25);
    const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const uint32_t t1 = s[7] + s1 + choice + kRoundSha256[i] + w[i];
    const uint32_t s0 = Right(s[0], 2) ^ Right(s[0], 13) ^ Right(s[0], 22);
    const uint32_t most = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    s = {t1 + s0 + most, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
  }
  for (int i = 0; i < 8; ++i) (*state)[i] += s[i];
}

}  // namespace hub
}  // namespace peft
