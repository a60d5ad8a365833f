#include "peft_cc/config/python_regex.h"

#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace {

std::string Translated(absl::string_view pattern) {
  const absl::StatusOr<std::string> text = TranslatePythonRegex(pattern);
  return text.ok() ? *text : std::string(text.status().message());
}

PythonRegex Compiled(absl::string_view pattern) {
  absl::StatusOr<PythonRegex> regex = PythonRegex::Compile(pattern);
  EXPECT_TRUE(regex.ok()) << pattern << ": " << regex.status();
  return *regex;
}

absl::Status CompileError(absl::string_view pattern) {
  return PythonRegex::Compile(pattern).status();
}

// fullmatch, match and search as three bits.
std::string Bits(const PythonRegex& regex, absl::string_view text) {
  std::string bits;
  for (const absl::StatusOr<bool>& result :
       {regex.FullMatch(text), regex.Match(text), regex.Search(text)}) {
    bits += result.ok() ? (*result ? "1" : "0") : result.status().ToString();
  }
  return bits;
}

Json ReadJson(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  absl::StatusOr<Json> json = ParseJson(text.str(), path);
  EXPECT_TRUE(json.ok()) << json.status();
  return *json;
}

// Answers of Python's re, see testdata/make_regex_cases.py.
TEST(PythonRegexTest, AnswersAsPython) {
  const Json cases = ReadJson("peft_cc/config/testdata/regex_cases.json");
  ASSERT_GT(cases.size(), 1500u);
  size_t unimplemented = 0;
  for (const Json& one : cases) {
    const auto pattern = one["p"].get<std::string>();
    const absl::StatusOr<PythonRegex> regex = PythonRegex::Compile(pattern);
    if (one.contains("e")) {
      EXPECT_FALSE(regex.ok()) << pattern;
      continue;
    }
    if (absl::IsUnimplemented(regex.status())) {
      ++unimplemented;
      continue;
    }
    ASSERT_TRUE(regex.ok()) << regex.status();
    for (const Json& text : one["t"]) {
      EXPECT_EQ(Bits(*regex, text[0].get<std::string>()),
                text[1].get<std::string>())
          << pattern << " on " << text[0];
    }
  }
  EXPECT_LT(unimplemented * 20, cases.size());
}

TEST(PythonRegexTest, WritesEverythingButAlphanumericsAsNumbers) {
  EXPECT_EQ(Translated("a_1"), "(?:a\\x{5f}1)");
  EXPECT_EQ(Translated(R"(.*\.q)"), "(?:[^\\x{a}]*\\x{2e}q)");
  EXPECT_EQ(Translated("(?i)ab"), "(?:[aA][bB])");
  EXPECT_EQ(Translated("(?P<x>a)(?P=x)"), "(?:(a)\\g{1})");
  EXPECT_EQ(Translated("a{,3}?"), "(?:a{0,3}?)");
  EXPECT_EQ(Translated("a$"), "(?:a(?=\\x{a}?\\z))");
}

TEST(PythonRegexTest, RefusesInPythonsWordsWithThePosition) {
  const absl::Status status = CompileError("ab**");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorId(status), error_id::kRegex);
  EXPECT_NE(status.message().find("\"ab**\""), std::string::npos) << status;
  EXPECT_NE(status.message().find("multiple repeat at position 3"),
            std::string::npos)
      << status;
}

TEST(PythonRegexTest, RefusesSyntaxOfPcreAlone) {
  for (const char* pattern :
       {"\\h", "\\Ka", "\\R", "\\Qa\\E", "(?R)", "(?1)", "(?|a)", "(*UTF)a",
        "a(*ACCEPT)", "(?<n>a)", "(?C)", "\\G", "[\\h]", "(?&n)"}) {
    EXPECT_EQ(CompileError(pattern).code(), absl::StatusCode::kInvalidArgument)
        << pattern;
  }
}

TEST(PythonRegexTest, SaysWhatItCannotRun) {
  for (const char* pattern :
       {"\\N{DIGIT ONE}", "(?i)\u00e9", "(?i)[\u00e0-\u00ff]", "(?i)(a)\\1",
        "\\ud800", "a{65536}", "(?P<\u00e9>a)", "(a(?(1)b|c))",
        "(?:()|\\1a)+"}) {
    const absl::Status status = CompileError(pattern);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_EQ(ErrorId(status), error_id::kRegex);
  }
}

TEST(PythonRegexTest, BoundsTheWork) {
  const std::string text = std::string(60, 'a') + std::string(60, 'b') + "cd";
  const absl::StatusOr<bool> result =
      Compiled("(?:(?:a|b|ab)*)*c").FullMatch(text);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorId(result.status()), error_id::kRegex);
  EXPECT_NE(result.status().message().find("too much work"), std::string::npos);
}

TEST(PythonRegexTest, BoundsPatternNestingAndText) {
  EXPECT_FALSE(CompileError(std::string((64 << 10) + 1, 'a')).ok());
  EXPECT_TRUE(CompileError(std::string(10000, 'a')).ok());
  EXPECT_EQ(CompileError(std::string(101, '(') + std::string(101, ')')).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(CompileError(std::string(100, '(') + std::string(100, ')')).ok());
  EXPECT_EQ(CompileError("(?:(?:(?:a{1,999}){1,999}){1,999}){1,999}").code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_FALSE(Compiled("a*").FullMatch(std::string(4097, 'a')).ok());
}

TEST(PythonRegexTest, RefusesInvalidUtf8) {
  EXPECT_FALSE(CompileError("\xff").ok());
  EXPECT_FALSE(Compiled("a").FullMatch("\xc3").ok());
}

TEST(PythonRegexTest, NulIsACharacter) {
  const PythonRegex regex = Compiled(absl::string_view("a\0b", 3));
  EXPECT_EQ(Bits(regex, absl::string_view("a\0b", 3)), "111");
  EXPECT_EQ(Bits(regex, "a"), "000");
}

TEST(PythonRegexTest, MatchGroupGivesTheGroupsText) {
  const PythonRegex regex = Compiled(R"((?:^|.*?\.)layers\.(?P<idx>\d+)\.)");
  const std::string text = "model.layers.12.experts.3.w1";
  const auto group = regex.MatchGroup(text, "idx");
  ASSERT_TRUE(group.ok()) << group.status();
  ASSERT_TRUE(group->has_value());
  EXPECT_EQ(**group, "12");
  EXPECT_EQ((*group)->data(), text.data() + 13);
}

TEST(PythonRegexTest, MatchGroupIsEmptyWithoutMatchNameOrGroup) {
  const PythonRegex regex = Compiled("(?P<a>a)|b");
  EXPECT_EQ(*regex.MatchGroup("c", "a"), std::nullopt);
  EXPECT_EQ(*regex.MatchGroup("a", "z"), std::nullopt);
  EXPECT_EQ(*regex.MatchGroup("b", "a"), std::nullopt);
}

TEST(PythonRegexTest, CopiesOutliveTheOriginal) {
  absl::StatusOr<PythonRegex> original = PythonRegex::Compile("a+");
  const PythonRegex copy = *original;
  original = absl::UnknownError("gone");
  EXPECT_EQ(Bits(copy, "aa"), "111");
}

}  // namespace
}  // namespace peft
