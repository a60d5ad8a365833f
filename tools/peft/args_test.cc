#include "tools/peft/args.h"

#include <gtest/gtest.h>

namespace peft_tool {
namespace {

const std::vector<OptionSpec> kSpecs = {{"--model", "DIR", "a folder"},
                                        {"--count", "N", "a number"},
                                        {"--json", nullptr, "a flag"}};

TEST(Args, ReadsValuesInBothForms) {
  EXPECT_EQ(Args({"--model", "a"}, kSpecs).Get("--model"), "a");
  EXPECT_EQ(Args({"--model=a=b"}, kSpecs).Get("--model"), "a=b");
}

TEST(Args, KeepsRepeatedValuesInOrder) {
  const Args args({"--model", "a", "--model", "b"}, kSpecs);
  EXPECT_EQ(args.GetAll("--model"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(args.Get("--model"), "b");
}

TEST(Args, ReadsFlagsAndPositionalWords) {
  const Args args({"folder", "--json", "--", "--model"}, kSpecs);
  EXPECT_TRUE(args.Has("--json"));
  EXPECT_EQ(args.positional(), (std::vector<std::string>{"folder", "--model"}));
}

TEST(Args, RefusesUnknownOptions) {
  EXPECT_EQ(Args({"--modle", "a"}, kSpecs).error(), "unknown option --modle");
}

TEST(Args, RefusesAMissingValue) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--model"}, {"--model", ""}, {"--model="}}) {
    EXPECT_EQ(Args(words, kSpecs).error(), "--model needs a value: DIR");
  }
}

// As of a shell's variable that is not set.
TEST(Args, RefusesAnEmptyWord) {
  EXPECT_EQ(Args({"folder", ""}, kSpecs).error(), "an argument is empty");
}

TEST(Args, RefusesAValueForAFlag) {
  EXPECT_EQ(Args({"--json=1"}, kSpecs).error(), "--json takes no value");
}

TEST(Args, ChecksNumbers) {
  for (const char* text :
       {"", "x", "3x", "99", "-1", "1e3", "99999999999999999999"}) {
    Args args({"--count", text}, kSpecs);
    EXPECT_EQ(args.GetInt("--count", 7, 0, 10), 7) << text;
    EXPECT_NE(args.error(), "") << text;
  }
  EXPECT_EQ(Args({"--count", "10"}, kSpecs).GetInt("--count", 7, 0, 10), 10);
}

TEST(ParseIntList, ReadsNumbersWithCommas) {
  std::vector<int64_t> numbers;
  EXPECT_TRUE(ParseIntList("1,-2,3", &numbers));
  EXPECT_EQ(numbers, (std::vector<int64_t>{1, -2, 3}));
}

TEST(ParseIntList, RefusesOtherText) {
  for (const char* text : {"", "a", "1,,2", "1 2"}) {
    std::vector<int64_t> numbers;
    EXPECT_FALSE(ParseIntList(text, &numbers)) << text;
  }
}

TEST(ParseDouble, RefusesWhatIsNotFinite) {
  double value = 0;
  EXPECT_TRUE(ParseDouble("-0.5", &value));
  EXPECT_EQ(value, -0.5);
  for (const char* text : {"", "nan", "inf", "1x"}) {
    EXPECT_FALSE(ParseDouble(text, &value)) << text;
  }
}

TEST(HelpText, AlignsTheOptions) {
  const std::string text = HelpText("peft x", "Does.", kSpecs, "");
  EXPECT_NE(text.find("  --model DIR  a folder\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  --json       a flag\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace peft_tool
