#include "peft_cc/config/pattern_table.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

PatternTable Table(const Strings& keys) {
  absl::StatusOr<PatternTable> table = PatternTable::Create("p", keys);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

// The key that is found, "" for none.
std::string Found(const Strings& keys, absl::string_view name) {
  PatternTable table = Table(keys);
  const absl::StatusOr<std::optional<size_t>> index = table.Find(name);
  EXPECT_TRUE(index.ok()) << index.status();
  return index->has_value() ? keys[**index] : "";
}

TEST(PatternTableTest, PlainKeysMatchAfterADotOrTheWholeName) {
  EXPECT_EQ(Found({"q_proj"}, "m.q_proj"), "q_proj");
  EXPECT_EQ(Found({"q_proj"}, "q_proj"), "q_proj");
  EXPECT_EQ(Found({"q_proj"}, "xq_proj"), "");
  EXPECT_EQ(Found({"q_proj"}, "q_proj.x"), "");
}

TEST(PatternTableTest, TheFirstKeyWinsAmongPlainOnesAndRegexes) {
  EXPECT_EQ(Found({".*proj", "q_proj"}, "m.q_proj"), ".*proj");
  EXPECT_EQ(Found({"q_proj", ".*proj"}, "m.q_proj"), "q_proj");
  EXPECT_EQ(Found({"m.q_proj", "q_proj"}, "m.q_proj"), "m.q_proj");
  EXPECT_EQ(Found({"q_proj", "m.q_proj"}, "m.q_proj"), "q_proj");
}

TEST(PatternTableTest, DotsStandForOneCharacterOfAnyKind) {
  EXPECT_EQ(Found({"q.proj"}, "m.q_proj"), "q.proj");
  EXPECT_EQ(Found({"q.proj"}, "m.q\u00e9proj"), "q.proj");
  EXPECT_EQ(Found({"q.proj"}, "m.qproj"), "");
  EXPECT_EQ(Found({"q.proj"}, "m.q\nproj"), "");
  EXPECT_EQ(Found({"q_proj"}, "m.q_proj\n"), "q_proj");
}

TEST(PatternTableTest, AKeyThatIsTheNameButNotItsRegexIsFoundLast) {
  EXPECT_EQ(Found({"a+b"}, "a+b"), "a+b");
  EXPECT_EQ(Found({"a+b", ".*b"}, "a+b"), ".*b");
}

TEST(PatternTableTest, KeysThatOthersHideAreNotUnmatched) {
  PatternTable table = Table({"q_proj", ".*proj", "m.q_proj", "z", "(y|z)"});
  ASSERT_TRUE(table.Find("m.q_proj").ok());
  EXPECT_EQ(table.Unmatched(), (Strings{"(y|z)", "z"}));
}

TEST(PatternTableTest, BadAndTooManyRegexesAreErrors) {
  absl::Status status = PatternTable::Create("rank_pattern", {"("}).status();
  EXPECT_EQ(ErrorId(status), error_id::kRegex);
  EXPECT_TRUE(absl::StartsWith(status.message(), "rank_pattern: "));
  Strings keys;
  for (int i = 0; i < 1025; ++i) keys.push_back(absl::StrCat("x*", i));
  status = PatternTable::Create("rank_pattern", keys).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace peft
