#include "peft_cc/tensors/safetensors_canonical.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr absl::string_view kHeader =
    R"({"__metadata__":{"format":"pt","k":""},)"
    R"("a.lora_A.weight":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},)"
    R"("a.lora_B.weight":{"dtype":"BF16","shape":[0],"data_offsets":[64,64]},)"
    R"("b":{"dtype":"U8","shape":[],"data_offsets":[64,65]}}  )";

std::string With(absl::string_view part, absl::string_view replacement) {
  EXPECT_TRUE(absl::StrContains(kHeader, part));
  return absl::StrReplaceAll(kHeader, {{part, replacement}});
}

std::string Describe(const SafetensorsHeader& header) {
  std::string text;
  for (const auto& [key, value] : header.metadata) {
    absl::StrAppend(&text, key, "=", value, ";");
  }
  for (const SafetensorsEntry& entry : header.entries) {
    absl::StrAppend(&text, entry.name, " ", DTypeName(entry.dtype));
    for (const int64_t dim : entry.shape) absl::StrAppend(&text, " ", dim);
    absl::StrAppend(&text, " at ", entry.begin, "-", entry.end, ";");
  }
  return text;
}

// A blank that the reference writer would not write.
std::string NotCanonical(absl::string_view json) {
  return absl::StrCat("{ ", json.substr(1));
}

TEST(ReadCanonicalHeader, IsWhatTheJsonReaderReads) {
  const auto header = ReadCanonicalHeader(kHeader);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(Describe(*header),
            "format=pt;k=;a.lora_A.weight F32 2 8 at 0-64;"
            "a.lora_B.weight BF16 0 at 64-64;b U8 at 64-65;");
  EXPECT_EQ(ReadCanonicalHeader(NotCanonical(kHeader)), std::nullopt);
  const auto other = ParseSafetensorsHeader(NotCanonical(kHeader), "x");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(Describe(*header), Describe(*other));
}

TEST(ReadCanonicalHeader, NamesMayStandInAnyOrder) {
  EXPECT_TRUE(ReadCanonicalHeader(With("\"b\"", "\"A\"")).has_value());
}

TEST(ReadCanonicalHeader, LeavesErrorsToTheJsonReader) {
  EXPECT_FALSE(ReadCanonicalHeader(With("\"b\"", "\"a.lora_A.weight\"")));
  EXPECT_FALSE(ReadCanonicalHeader(With("\"b\"", "\"\"")));
  EXPECT_FALSE(ReadCanonicalHeader(With("\"b\"", "\"__metadata__\"")));
  EXPECT_FALSE(ReadCanonicalHeader(With("U8", "U9")));
  EXPECT_FALSE(ReadCanonicalHeader(With("\"k\"", "\"format\"")));
  EXPECT_FALSE(ReadCanonicalHeader(With("[0,64]", "[00,64]")));
  EXPECT_FALSE(ReadCanonicalHeader(With("[0,64]", "[-1,64]")));
  EXPECT_FALSE(ReadCanonicalHeader(With("[0,64]", "[0,64,65]")));
  EXPECT_FALSE(ReadCanonicalHeader(With("[2,8]", "[2,]")));
  EXPECT_FALSE(ReadCanonicalHeader(With("[2,8]", "[1000000000000000000]")));
  EXPECT_FALSE(ReadCanonicalHeader(With("}}  ", "}}  x")));
  EXPECT_FALSE(ReadCanonicalHeader(With("}}  ", "}")));
  std::string shape = "[1";
  for (size_t i = 0; i < kMaxSafetensorsRank; ++i) shape += ",1";
  EXPECT_FALSE(ReadCanonicalHeader(With("[2,8]", shape + "]")));
}

TEST(ReadCanonicalHeader, LeavesWhatItDoesNotKnowToTheJsonReader) {
  for (const std::string& json :
       {With("\"b\"", "\"\\u0062\""), With("\"b\"", "\"\xc3\xa9\""),
        With(",\"shape\"", ", \"shape\""), With("pt", "p\\nt")}) {
    EXPECT_FALSE(ReadCanonicalHeader(json).has_value()) << json;
    EXPECT_TRUE(ParseSafetensorsHeader(json, "x").ok()) << json;
  }
}

TEST(ReadCanonicalHeader, EveryTextCutShortIsLeftToTheJsonReader) {
  const absl::string_view text = kHeader.substr(0, kHeader.size() - 2);
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ReadCanonicalHeader(text.substr(0, size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace peft
