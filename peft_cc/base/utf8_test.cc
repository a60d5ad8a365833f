#include "peft_cc/base/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(Utf8, ValidTextPasses) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8(std::string("a\0b", 3)));
  EXPECT_TRUE(IsValidUtf8("plain text longer than eight bytes, \xc3\xa9"));
  EXPECT_TRUE(IsValidUtf8("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf"));
  EXPECT_TRUE(IsValidUtf8("\xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

TEST(Utf8, InvalidTextIsFound) {
  const std::string cases[] = {
      "\x80",              // a continuation alone
      "\xc0\xaf",          // overlong
      "\xc1\xbf",          // overlong
      "\xe0\x9f\xbf",      // overlong
      "\xf0\x8f\xbf\xbf",  // overlong
      "\xed\xa0\x80",      // a surrogate
      "\xf4\x90\x80\x80",  // above U+10FFFF
      "\xf5\x80\x80\x80",  // above U+10FFFF
      "\xff",
      "\xc3",          // cut short
      "\xe2\x82",      // cut short
      "\xf0\x9f\x98",  // cut short
      "\xc3(",
      "\xe2\x28\xa1",
      "\xe2\x82\x28",
      "\xf0\x9f\x98\x28",
  };
  for (const std::string& bad : cases) {
    EXPECT_EQ(ValidUtf8Prefix(bad), 0u) << Quoted(bad);
    EXPECT_EQ(ValidUtf8Prefix("12345678901" + bad), 11u) << Quoted(bad);
  }
}

TEST(Quoted, EscapesWhatWouldGarbleAMessage) {
  EXPECT_EQ(Quoted("plain"), "\"plain\"");
  EXPECT_EQ(Quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(Quoted("line\nnext\x1b[31m"), "\"line\\nnext\\x1b[31m\"");
  EXPECT_EQ(Quoted("\xc3\xa9\xff\x7f"), "\"\xc3\xa9\\xff\\x7f\"");
  EXPECT_EQ(Quoted(std::string("a\0b", 3)), "\"a\\x00b\"");
}

TEST(Quoted, CutsBetweenCharacters) {
  EXPECT_EQ(Quoted("abcdef", 3), "\"abc...\"");
  EXPECT_EQ(Quoted("\xc3\xa9\xc3\xa9", 1), "\"\xc3\xa9...\"");
}

TEST(ShortList, CountsWhatItLeavesOut) {
  EXPECT_EQ(ShortList({"a", "b", "c"}, 2), "\"a\", \"b\" and 1 more");
  EXPECT_EQ(ShortList({"a"}), "\"a\"");
}

TEST(Printable, KeepsQuotes) {
  EXPECT_EQ(Printable("expected '\"'\n"), "expected '\"'\\n");
}

}  // namespace
}  // namespace peft
