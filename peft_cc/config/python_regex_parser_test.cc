#include "peft_cc/config/python_regex_parser.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

RegexSyntax Parsed(absl::string_view pattern) {
  absl::StatusOr<RegexSyntax> syntax = ParsePythonRegex(pattern);
  EXPECT_TRUE(syntax.ok()) << syntax.status();
  return syntax.ok() ? *std::move(syntax) : RegexSyntax();
}

const RegexNode& First(const RegexSyntax& syntax) {
  return syntax.root.branches.front().front();
}

// The reason in the error's message.
std::string Reason(absl::string_view pattern) {
  const std::string message(ParsePythonRegex(pattern).status().message());
  const std::string before = " is not valid: ";
  const size_t start = message.find(before);
  return start == std::string::npos ? message
                                    : message.substr(start + before.size());
}

TEST(PythonRegexParserTest, NumbersAndNamesGroups) {
  const RegexSyntax syntax = Parsed("(a)(?P<n>(?:b)(c))");
  EXPECT_EQ(syntax.group_names.at("n"), 2u);
  const RegexNode& named = syntax.root.branches[0][1];
  EXPECT_EQ(named.code, 2u);
  EXPECT_EQ(named.branches[0][0].code, 0u);
  EXPECT_EQ(named.branches[0][1].code, 3u);
}

TEST(PythonRegexParserTest, ResolvesFlagsWhereTheyHold) {
  const RegexSyntax syntax = Parsed("(?i)a(?-i:b(?s:.))c");
  const RegexSequence& nodes = syntax.root.branches[0];
  EXPECT_EQ(nodes[0].flags, kRegexIgnoreCase);
  EXPECT_EQ(nodes[1].branches[0][0].flags, 0);
  EXPECT_EQ(nodes[1].branches[0][1].branches[0][0].flags, kRegexDotAll);
  EXPECT_EQ(nodes[2].flags, kRegexIgnoreCase);
}

TEST(PythonRegexParserTest, GlobalFlagsHoldInEveryBranch) {
  const RegexSyntax syntax = Parsed("(?x)a b | c # d");
  ASSERT_EQ(syntax.root.branches.size(), 2u);
  EXPECT_EQ(syntax.root.branches[0].size(), 2u);
  EXPECT_EQ(syntax.root.branches[1].size(), 1u);
}

TEST(PythonRegexParserTest, MeasuresWidths) {
  const auto width = [](absl::string_view pattern) {
    const RegexWidth w = Parsed(pattern).root.width;
    return std::make_pair(w.min, w.max);
  };
  EXPECT_EQ(width("ab|c"), std::make_pair(uint64_t{1}, uint64_t{2}));
  EXPECT_EQ(width("a{2,5}\\b(?=xyz)"),
            std::make_pair(uint64_t{2}, uint64_t{5}));
  EXPECT_EQ(width("(a.)\\1"), std::make_pair(uint64_t{4}, uint64_t{4}));
  EXPECT_EQ(width("a*"), std::make_pair(uint64_t{0}, kRegexUnbounded));
  EXPECT_EQ(width("(a)?(?(1)bc)"), std::make_pair(uint64_t{0}, uint64_t{3}));
}

TEST(PythonRegexParserTest, BracesThatAreNoQuantifierAreLiterals) {
  EXPECT_EQ(Parsed("a{,}").root.branches[0].size(), 1u);
  EXPECT_EQ(Parsed("a{}").root.branches[0].size(), 3u);
  EXPECT_EQ(Parsed("a{1,x}").root.branches[0].size(), 6u);
  EXPECT_EQ(First(Parsed("a{,3}")).max, 3u);
}

TEST(PythonRegexParserTest, CommentsAreNothingToTheNextQuantifier) {
  EXPECT_EQ(First(Parsed("a(?#b\\)c)*")).kind, RegexKind::kRepeat);
}

TEST(PythonRegexParserTest, RefusesWithPythonsReason) {
  EXPECT_EQ(Reason("a**"), "multiple repeat at position 2");
  EXPECT_EQ(Reason("*a"), "nothing to repeat at position 0");
  EXPECT_EQ(Reason("(*FAIL)"), "nothing to repeat at position 1");
  EXPECT_EQ(Reason("a)"), "unbalanced parenthesis at position 1");
  EXPECT_EQ(Reason("b(a"), "missing ), unterminated subpattern at position 1");
  EXPECT_EQ(Reason("(a)\\2"), "invalid group reference 2 at position 3");
  EXPECT_EQ(Reason("(a\\1)"), "cannot refer to an open group at position 2");
  EXPECT_EQ(Reason("a{2,1}"),
            "min repeat greater than max repeat at position 1");
  EXPECT_EQ(Reason("(?<=a+)b"),
            "look-behind requires fixed-width pattern at position 0");
  EXPECT_EQ(Reason("a(?i)"),
            "global flags not at the start of the expression at position 1");
}

}  // namespace
}  // namespace peft
