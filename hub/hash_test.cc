#include "hub/hash.h"

#include <string>

#include "gtest/gtest.h"

namespace peft {
namespace hub {
namespace {

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()),
                             text.size());
}

std::string Hex(Digest digest, const std::string& text) {
  digest.Update(Bytes(text));
  return digest.Hex();
}

// FIPS 180-4's examples.
TEST(Digest, KnownAnswersOfSha256) {
  EXPECT_EQ(Hex(Digest::Sha256(), ""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Digest::Sha256(), "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Digest::Sha256(), std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, KnownAnswersOfSha1) {
  EXPECT_EQ(Hex(Digest::Sha1(), ""),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(Hex(Digest::Sha1(), std::string(1000000, 'a')),
            "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Digest, OfABlobIsGits) {
  // `echo hello | git hash-object --stdin`
  EXPECT_EQ(Hex(Digest::ForBlob(std::string(40, '0'), 6), "hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Digest, PartsAreTheWhole) {
  std::string text;
  for (int i = 0; i < 300; ++i) text.push_back(static_cast<char>(i));
  for (const Digest& start : {Digest::Sha256(), Digest::Sha1()}) {
    const std::string whole = Hex(start, text);
    for (size_t size = 1; size < text.size(); ++size) {
      Digest digest = start;
      for (size_t at = 0; at < text.size(); at += size) {
        digest.Update(Bytes(text.substr(at, size)));
        // In between, and for every length of the last block.
        EXPECT_EQ(digest.Hex(), Hex(start, text.substr(0, at + size)));
      }
      EXPECT_EQ(digest.Hex(), whole);
    }
  }
}

TEST(IsBlobName, IsADigestOfEitherKind) {
  EXPECT_TRUE(IsBlobName(std::string(40, 'a')));
  EXPECT_TRUE(IsBlobName(std::string(64, '0')));
  EXPECT_FALSE(IsBlobName(std::string(40, 'A')));
  EXPECT_FALSE(IsBlobName(std::string(41, 'a')));
  EXPECT_FALSE(IsBlobName("../../../../../../../../../../../etc/xxx"));
}

}  // namespace
}  // namespace hub
}  // namespace peft
