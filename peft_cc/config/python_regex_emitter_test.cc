#include "peft_cc/config/python_regex_emitter.h"

#include <string>

#include "gtest/gtest.h"
#include "peft_cc/config/python_regex_parser.h"

namespace peft {
namespace {

// The PCRE2 text of `pattern`, without the group around the whole.
std::string Emitted(absl::string_view pattern) {
  const absl::StatusOr<RegexSyntax> syntax = ParsePythonRegex(pattern);
  if (!syntax.ok()) return std::string(syntax.status().message());
  const absl::StatusOr<std::string> text = EmitPcre2(syntax->root);
  if (!text.ok()) return std::string(text.status().message());
  return text->substr(3, text->size() - 4);
}

TEST(PythonRegexEmitterTest, SpellsOutWhatTheEnginesDisagreeOn) {
  EXPECT_EQ(Emitted("."), "[^\\x{a}]");
  EXPECT_EQ(Emitted("(?s)."), ".");
  EXPECT_EQ(Emitted("^$\\A\\Z"), "\\A(?=\\x{a}?\\z)\\A\\z");
  EXPECT_EQ(Emitted("(?m)^$"), "(?<![^\\x{a}])(?![^\\x{a}])");
  EXPECT_EQ(Emitted("\\d\\w"), "[\\p{Nd}][\\p{L}\\p{N}_]");
  EXPECT_EQ(Emitted("(?a)\\d\\w"), "[0-9][A-Za-z0-9_]");
}

TEST(PythonRegexEmitterTest, FoldsCaseByItself) {
  EXPECT_EQ(Emitted("(?i)a1"), "[aA]1");
  EXPECT_EQ(Emitted("(?i)k"), "[kK\\x{212a}]");
  EXPECT_EQ(Emitted("(?ai)k"), "[kK]");
  EXPECT_EQ(Emitted("(?i)[j-k]"), "[j-kjJkK\\x{212a}]");
}

TEST(PythonRegexEmitterTest, TakesANegatedWordClassOutOfItsSet) {
  EXPECT_EQ(Emitted("\\W"), "(?:[^\\p{L}\\p{N}_])");
  EXPECT_EQ(Emitted("[a\\W]"), "(?:[a]|[^\\p{L}\\p{N}_])");
  EXPECT_EQ(Emitted("[^a\\W]"), "(?:(?![a])[\\p{L}\\p{N}_])");
}

TEST(PythonRegexEmitterTest, WritesQuantifiersOfAnyGreed) {
  EXPECT_EQ(Emitted("a*b+c?"), "a*b+c?");
  EXPECT_EQ(Emitted("a*?b{2}+c{3,}"), "a*?b{2,2}+c{3,}");
  EXPECT_EQ(Emitted("(?=a)*"), "(?:(?=a))*");
}

TEST(PythonRegexEmitterTest, TurnsOfAPossessiveLoopAreAtomicAsInPython) {
  EXPECT_EQ(Emitted("(?:a|ab)*+"), "(?>(?:a|ab))*+");
}

TEST(PythonRegexEmitterTest, WhatIsNeverTakenOnlyKeepsItsGroupNumbers) {
  EXPECT_EQ(Emitted("(?:^a){0}b"), "b");
  EXPECT_EQ(Emitted("(a(b)){0}(c)\\3"), "(?:|(?!)()())(c)\\g{3}");
}

TEST(PythonRegexEmitterTest, WritesGroupsByNumber) {
  EXPECT_EQ(Emitted("(?P<n>a)?(?(n)b|c)"), "(a)?(?(1)b|c)");
  EXPECT_EQ(Emitted("(?>a|b)(?<!c)"), "(?>a|b)(?<!c)");
}

}  // namespace
}  // namespace peft
