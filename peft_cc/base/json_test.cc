#include "peft_cc/base/json.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Json Parse(absl::string_view text) {
  const auto json = ParseJson(text, "test.json");
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : Json();
}

void ExpectRefused(absl::string_view text, absl::string_view part,
                   const JsonLimits& limits = {}, bool allow_nan = false) {
  const absl::Status status =
      ParseJson(text, "test.json", limits, allow_nan).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_EQ(ErrorId(status), "JSON");
  EXPECT_TRUE(absl::StartsWith(status.message(), "test.json: ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

TEST(ParseJson, ReadsEveryKindOfValue) {
  const Json json = Parse(
      R"({"a": [1, -2, 0.5, true, false, null], "b": {}, "c": "\u00e9\n"})");
  EXPECT_EQ(json["a"][0].get<uint64_t>(), 1u);
  EXPECT_EQ(json["a"][1].get<int64_t>(), -2);
  EXPECT_EQ(json["a"][2].get<double>(), 0.5);
  EXPECT_EQ(json["a"][3], true);
  EXPECT_EQ(json["a"][4], false);
  EXPECT_TRUE(json["a"][5].is_null());
  EXPECT_TRUE(json["b"].empty());
  EXPECT_EQ(json["c"], "\xc3\xa9\n");
}

TEST(ParseJson, KeepsTheOrderOfKeys) {
  EXPECT_EQ(Parse(R"({"z":1,"a":{"y":2,"b":3}})").dump(),
            R"({"z":1,"a":{"y":2,"b":3}})");
}

TEST(ParseJson, ReadsScalarsAtTheTop) {
  EXPECT_EQ(Parse(" 7 \n"), 7);
  EXPECT_EQ(Parse("\"x\""), "x");
}

TEST(ParseJson, KeepsLargeIntegers) {
  EXPECT_EQ(Parse("18446744073709551615").get<uint64_t>(), UINT64_MAX);
  EXPECT_TRUE(Parse("18446744073709551616").is_number_float());
}

TEST(ParseJson, SaysWhereSyntaxIsBad) {
  ExpectRefused("{\n  \"a\": nope\n}", "line 2, column");
  ExpectRefused("{\"a\" 1}", "line 1, column 6");
  ExpectRefused("[1, 2", "line 1, column 6");
}

TEST(ParseJson, RefusesBadSyntax) {
  for (const char* bad :
       {"",         " ",       "{",           "[1,]", "{\"a\":1,}",  "{'a':1}",
        "[01]",     "[+1]",    "[1.]",        "[.5]", "[1e]",        "[0x1]",
        "\"a\nb\"", "\"\\x\"", "\"\\ud800\"", "tru",  "[1] // note", "/*x*/ 1",
        "[1e999]",  "NaN",     "[Infinity]"}) {
    ExpectRefused(bad, "line 1, column");
  }
}

TEST(ParseJson, RefusesTrailingBytes) {
  ExpectRefused("{} {}", "line 1, column 4");
  ExpectRefused(absl::string_view("{}\0", 3), "NUL byte at line 1, column 3");
  ExpectRefused(absl::string_view("{}\0garbage", 10), "NUL byte");
}

TEST(ParseJson, RefusesByteOrderMark) {
  ExpectRefused("\xef\xbb\xbf{}", "byte order mark");
}

TEST(ParseJson, RefusesInvalidUtf8) {
  ExpectRefused("[\"ok\",\n \"\xff\"]", "invalid UTF-8 at line 2, column 3");
}

TEST(ParseJson, MessagesAreValidText) {
  ExpectRefused("\xc3\xa9", "invalid literal; last read: '\\xc3'");
}

TEST(ParseJson, RefusesDuplicateKeys) {
  ExpectRefused(R"({"a":1,"b":2,"a":3})", "key \"a\" appears twice");
  ExpectRefused(R"([{"x":{"a":1,"\u0061":3}}])", "key \"a\" appears twice");
  EXPECT_EQ(Parse(R"([{"a":1},{"a":1},{"b":{"a":1}}])").size(), 3u);
}

TEST(ParseJson, BoundsDepth) {
  const JsonLimits limits = {3, 100};
  EXPECT_TRUE(ParseJson("[[[1]]]", "x", limits).ok());
  ExpectRefused("[[{\"a\":[1]}]]", "nested deeper than 3", limits);
  ExpectRefused(std::string(1000000, '['), "nested deeper than 64");
}

TEST(ParseJson, BoundsElements) {
  const JsonLimits limits = {8, 5};
  EXPECT_TRUE(ParseJson("[1,2,3,4]", "x", limits).ok());
  ExpectRefused("[1,2,3,4,5]", "more than 5 values", limits);
  ExpectRefused(R"({"a":1,"b":2,"c":3})", "more than 5 values", limits);
}

TEST(ParseJson, ManyKeysAreNotQuadratic) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) absl::StrAppend(&text, "\"k", i, "\":0,");
  text.back() = '}';
  EXPECT_EQ(Parse(text).size(), 200000u);
}

TEST(ParseJson, ReadsPythonsNonFiniteNumbersWhenAllowed) {
  const std::string text =
      R"({"a": NaN, "b": [1, -Infinity, Infinity, -2.5e3],)"
      R"( "NaN": "NaN \" -1"})";
  const auto json = ParseJson(text, "x", {}, /*allow_nan=*/true);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_TRUE(std::isnan(json->at("a").get<double>()));
  EXPECT_EQ(json->at("b")[0], 1);
  EXPECT_EQ(json->at("b")[1], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(json->at("b")[2], std::numeric_limits<double>::infinity());
  EXPECT_EQ(json->at("b")[3], -2500.0);
  EXPECT_EQ(json->at("NaN"), "NaN \" -1");
}

TEST(ParseJson, NonFiniteLookalikesAreRefused) {
  for (const char* bad : {"-NaN", "NaN5", "1NaN", "xNaN", "NaNx", "+Infinity",
                          "--Infinity", "Infinity0", "nan", "{NaN: 1}"}) {
    ExpectRefused(bad, "line 1, column", {}, /*allow_nan=*/true);
  }
}

TEST(DumpJson, LaysOutLikePython) {
  const char* text = R"({
  "b": [
    1,
    "x",
    [],
    {}
  ],
  "a": {
    "nested": null,
    "t": true,
    "n": -3
  }
})";
  EXPECT_EQ(DumpJson(Parse(text)), text);
}

// Expected texts are what Python's json.dumps prints.
TEST(DumpJson, WritesFloatsLikePython) {
  const struct {
    double value;
    const char* text;
  } cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {0.1, "0.1"},
      {-123.456, "-123.456"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {1.5e-7, "1.5e-07"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {123456789012345680.0, "1.2345678901234568e+17"},
      {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {1.0 / 3, "0.3333333333333333"},
      // 2^-44: of 16 digits the nearest is read back as the number below it.
      {0x1p-44, "5.684341886080802e-14"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
      {std::numeric_limits<double>::infinity(), "Infinity"},
      {-std::numeric_limits<double>::infinity(), "-Infinity"},
  };
  for (const auto& test : cases) EXPECT_EQ(DumpJson(test.value), test.text);
}

TEST(DumpJson, EscapesStringsLikePython) {
  EXPECT_EQ(DumpJson("\xc3\xa9\xf0\x9f\x98\x80\"\\\n\x01\x7f/"),
            R"("\u00e9\ud83d\ude00\"\\\n\u0001\u007f/")");
}

TEST(DumpJson, InvalidUtf8DoesNotThrow) {
  EXPECT_EQ(DumpJson("a\xff"), R"("a\ufffd")");
}

TEST(DumpJson, ReadsBackEqual) {
  const char* text = R"({"x":[1e300,0.30000000000000004,1e-300,NaN]})";
  const auto json = ParseJson(text, "x", {}, /*allow_nan=*/true);
  ASSERT_TRUE(json.ok());
  const std::string dumped = DumpJson(*json);
  const auto again = ParseJson(dumped, "x", {}, /*allow_nan=*/true);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(DumpJson(*again), dumped);
  EXPECT_EQ(again->at("x")[1].get<double>(), 0.30000000000000004);
}

// Counts numbers, and refuses strings.
class NumberCounter : public JsonHandler {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return ++count_ > 0; }
  bool number_unsigned(uint64_t) override { return ++count_ > 0; }
  bool number_float(double, const std::string&) override {
    return ++count_ > 0;
  }
  bool string(std::string& value) override { return Fail("string " + value); }
  bool start_object(size_t) override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_object() override { return true; }
  bool end_array() override { return true; }
  bool key(std::string&) override { return true; }

  int count_ = 0;
};

TEST(ScanJson, RunsTheHandler) {
  NumberCounter counter;
  EXPECT_TRUE(ScanJson(R"({"a":[1,-2,0.5]})", "x", counter).ok());
  EXPECT_EQ(counter.count_, 3);
}

TEST(ScanJson, StopsWhereTheHandlerFails) {
  NumberCounter counter;
  const absl::Status status = ScanJson(R"([1,"no",2])", "x", counter);
  EXPECT_EQ(status.message(), "x: string no");
  EXPECT_EQ(ErrorId(status), "JSON");
  EXPECT_EQ(counter.count_, 1);
}

}  // namespace
}  // namespace peft
