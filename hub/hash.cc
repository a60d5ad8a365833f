#include "hub/hash.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/text_bytes.h"

namespace peft {
namespace hub {
namespace {

void Add(SHA_CTX* state, absl::Span<const uint8_t> bytes) {
  SHA1_Update(state, bytes.data(), bytes.size());
}
void Add(SHA256_CTX* state, absl::Span<const uint8_t> bytes) {
  SHA256_Update(state, bytes.data(), bytes.size());
}

std::string HexOf(const uint8_t* bytes, size_t size) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

// By value: finishing changes the state.
std::string Finish(SHA_CTX state) {
  uint8_t bytes[SHA_DIGEST_LENGTH];
  SHA1_Final(bytes, &state);
  return HexOf(bytes, sizeof(bytes));
}
std::string Finish(SHA256_CTX state) {
  uint8_t bytes[SHA256_DIGEST_LENGTH];
  SHA256_Final(bytes, &state);
  return HexOf(bytes, sizeof(bytes));
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
  SHA256_CTX state;
  SHA256_Init(&state);
  return Digest(state);
}

Digest Digest::Sha1() {
  SHA_CTX state;
  SHA1_Init(&state);
  return Digest(state);
}

Digest Digest::ForBlob(absl::string_view etag, uint64_t size) {
  if (etag.size() == kSha256Digits) return Sha256();
  Digest git = Sha1();
  const std::string header = absl::StrCat("blob ", size);
  // With the NUL at its end.
  git.Update(BytesOf({header.c_str(), header.size() + 1}));
  return git;
}

void Digest::Update(absl::Span<const uint8_t> bytes) {
  absl::visit([bytes](auto& state) { Add(&state, bytes); }, state_);
}

std::string Digest::Hex() const {
  return absl::visit([](const auto& state) { return Finish(state); }, state_);
}

}  // namespace hub
}  // namespace peft
