#include "peft_cc/config/python_regex_set.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

// The set that `text` is, as "^97-98 45-45 dW"; the error's message for none.
std::string Parsed(const std::string& text) {
  absl::StatusOr<RegexScanner> scanner = RegexScanner::Create(text);
  if (!scanner.ok()) return std::string(scanner.status().message());
  const RegexToken start = scanner->Next();
  const auto set = ParseRegexSet(&*scanner, start);
  if (!set.ok()) return "refused";
  EXPECT_TRUE(scanner->Peek().end) << text;
  std::string out = (*set)->negated ? "^" : "";
  for (const RegexSet::Range& range : (*set)->ranges) {
    absl::StrAppend(&out, static_cast<uint32_t>(range.first), "-",
                    static_cast<uint32_t>(range.last), " ");
  }
  return out + (*set)->categories;
}

TEST(RegexSetTest, ReadsMembersRangesAndCategories) {
  EXPECT_EQ(Parsed("[a-c_]"), "97-99 95-95 ");
  EXPECT_EQ(Parsed("[^\\d\\Wx\\d]"), "^120-120 dW");
}

TEST(RegexSetTest, ABracketFirstIsAMember) {
  EXPECT_EQ(Parsed("[]a]"), "93-93 97-97 ");
  EXPECT_EQ(Parsed("[^]]"), "^93-93 ");
}

TEST(RegexSetTest, AMinusFirstOrLastIsAMember) {
  EXPECT_EQ(Parsed("[-a]"), "45-45 97-97 ");
  EXPECT_EQ(Parsed("[a-]"), "97-97 45-45 ");
  EXPECT_EQ(Parsed("[\\w-]"), "45-45 w");
}

TEST(RegexSetTest, EscapesMeanOtherThingsThanOutside) {
  EXPECT_EQ(Parsed("[\\b\\101\\0\\x41]"), "8-8 65-65 0-0 65-65 ");
  for (const char* text : {"[\\B]", "[\\A]", "[\\Z]", "[\\8]", "[\\400]"}) {
    EXPECT_EQ(Parsed(text), "refused") << text;
  }
}

TEST(RegexSetTest, PosixClassesAreNotKnown) {
  EXPECT_EQ(Parsed("[[:a]"), "91-91 58-58 97-97 ");
}

TEST(RegexSetTest, RefusesBadRangesAndMissingEnds) {
  for (const char* text : {"[b-a]", "[\\d-a]", "[a-\\d]", "[", "[]", "[^]",
                           "[a", "[a-", "[a\\]"}) {
    EXPECT_EQ(Parsed(text), "refused") << text;
  }
}

}  // namespace
}  // namespace peft
