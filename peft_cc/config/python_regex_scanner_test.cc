#include "peft_cc/config/python_regex_scanner.h"

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

RegexScanner Scanner(absl::string_view pattern) {
  absl::StatusOr<RegexScanner> scanner = RegexScanner::Create(pattern);
  EXPECT_TRUE(scanner.ok()) << scanner.status();
  return *std::move(scanner);
}

// The character of the escape that `pattern` is; 0 for an error.
char32_t Escape(absl::string_view pattern) {
  RegexScanner scanner = Scanner(pattern);
  const RegexToken token = scanner.Next();
  EXPECT_TRUE(token.escaped);
  return scanner.CharacterEscape(token).value_or(0);
}

TEST(RegexScannerTest, ABackslashBelongsToTheNextCharacter) {
  RegexScanner scanner = Scanner("a\\)\\\\)");
  EXPECT_TRUE(scanner.Eat('a'));
  const RegexToken escaped = scanner.Next();
  EXPECT_TRUE(escaped.escaped);
  EXPECT_FALSE(escaped.Is(')'));
  EXPECT_EQ(escaped.position, 1u);
  EXPECT_EQ(scanner.Next().code, U'\\');
  EXPECT_EQ(scanner.Peek().position, 5u);
  EXPECT_TRUE(scanner.Next().Is(')'));
  EXPECT_TRUE(scanner.Next().end);
  EXPECT_TRUE(scanner.Next().end);
}

TEST(RegexScannerTest, DecodesUtf8) {
  RegexScanner scanner = Scanner("\u00e9\u5b57\U0001f600");
  EXPECT_EQ(scanner.Next().code, U'\u00e9');
  EXPECT_EQ(scanner.Next().code, U'\u5b57');
  EXPECT_EQ(scanner.Next().code, U'\U0001f600');
  EXPECT_TRUE(scanner.Next().end);
}

TEST(RegexScannerTest, ReadsEscapes) {
  EXPECT_EQ(Escape("\\x41"), U'A');
  EXPECT_EQ(Escape("\\u00e9"), U'\u00e9');
  EXPECT_EQ(Escape("\\U0010ffff"), U'\U0010ffff');
  EXPECT_EQ(Escape("\\n"), U'\n');
  EXPECT_EQ(Escape("\\."), U'.');
  EXPECT_EQ(Escape("\\\u00e9"), U'\u00e9');
}

TEST(RegexScannerTest, RefusesBadEscapes) {
  for (const char* pattern : {"\\x4", "\\u004", "\\U00110000", "\\q", "\\N",
                              "\\N{x}", "\\N{", "\\8"}) {
    EXPECT_EQ(Escape(pattern), 0u) << pattern;
  }
  EXPECT_FALSE(RegexScanner::Create("a\\").ok());
}

TEST(RegexScannerTest, TakesAsManyDigitsAsTheBaseAndLimitAllow) {
  RegexScanner scanner = Scanner("1789fg");
  EXPECT_EQ(scanner.TakeDigits(8, 3), "17");
  EXPECT_EQ(scanner.TakeDigits(10, 1), "8");
  EXPECT_EQ(scanner.TakeDigits(16, 9), "9f");
}

TEST(RegexScannerTest, TakesNamesUpToTheirEnd) {
  RegexScanner scanner = Scanner("ab>c");
  EXPECT_EQ(*scanner.TakeName('>'), "ab");
  EXPECT_TRUE(scanner.Eat('c'));
  EXPECT_FALSE(Scanner("ab").TakeName('>').ok());
  EXPECT_FALSE(Scanner(">").TakeName('>').ok());
}

TEST(RegexScannerTest, ErrorsSayWhatAndWhere) {
  RegexScanner scanner = Scanner("\u00e9b");
  scanner.Next();
  const absl::Status status = scanner.Refused("bad b", scanner.Peek());
  EXPECT_EQ(status.message(),
            "the regex \"\u00e9b\" is not valid: bad b at position 1");
  EXPECT_EQ(ErrorId(status), error_id::kRegex);
  EXPECT_TRUE(absl::IsUnimplemented(scanner.Unsupported("b", scanner.Peek())));
}

}  // namespace
}  // namespace peft
