#include "peft_cc/tensors/file_kind.h"

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

absl::Span<const uint8_t> Span(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void ExpectKind(const std::string& content, absl::string_view part) {
  EXPECT_TRUE(absl::StrContains(DescribeForeignFile(Span(content)), part))
      << DescribeForeignFile(Span(content));
}

TEST(FileKind, CommonMistakesAreNamed) {
  ExpectKind("", "empty");
  ExpectKind("version https://git-lfs.github.com/spec/v1\noid", "Git LFS");
  ExpectKind("<!DOCTYPE html><html>", "web page");
  ExpectKind("PK\x03\x04", "zip archive");
  ExpectKind("\x80\x02\x8a\x0a", "torch.save");
  ExpectKind("GGUF", "GGUF");
  ExpectKind(std::string(8, '\0') + "{}", "safetensors");
  ExpectKind(std::string(257, '\0') + "ustar", "tar archive");
}

TEST(FileKind, UnknownContentHasNoDescription) {
  EXPECT_EQ(DescribeForeignFile(Span("something")), "");
  EXPECT_EQ(DescribeForeignFile(Span(std::string(300, '\0'))), "");
}

TEST(FileKind, ZipIsKnownByItsFirstHeader) {
  EXPECT_TRUE(IsZip(Span("PK\x03\x04rest")));
  EXPECT_FALSE(IsZip(Span("PK\x03")));
}

}  // namespace
}  // namespace peft
