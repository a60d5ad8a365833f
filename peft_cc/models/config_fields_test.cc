#include "peft_cc/models/config_fields.h"

#include <string>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Json Parse(const std::string& text) {
  return *ParseJson(text, "test", {}, /*allow_nan=*/true);
}

TEST(ConfigFieldsTest, AbsentFieldsGiveTheFallback) {
  const Json object = Json::object();
  ConfigFields fields(object, "f");
  EXPECT_EQ(fields.Int("a", 7, 0, 9), 7);
  EXPECT_EQ(fields.Number("a", 1.5, 0, 9), 1.5);
  EXPECT_TRUE(fields.Bool("a", true));
  EXPECT_EQ(fields.Text("a", "x"), "x");
  EXPECT_EQ(fields.TokenIds("a", {3}), std::vector<int64_t>{3});
  EXPECT_TRUE(fields.TextList("a", 4).empty());
  EXPECT_TRUE(fields.status().ok());
}

TEST(ConfigFieldsTest, ReadsEachType) {
  const Json object = Parse(
      R"({"i": -3, "n": 2, "b": true, "t": "x", "id": 5, "ids": [1, 2],
          "list": ["p", "q"], "null": null})");
  ConfigFields fields(object, "f");
  EXPECT_EQ(fields.Int("i", 0, -9, 9), -3);
  EXPECT_EQ(fields.Number("n", 0, 0, 9), 2);
  EXPECT_TRUE(fields.Bool("b", false));
  EXPECT_EQ(fields.Text("t", ""), "x");
  EXPECT_EQ(fields.TokenIds("id", {}), std::vector<int64_t>{5});
  EXPECT_EQ(fields.TokenIds("ids", {}), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(fields.TokenIds("null", {9}).empty());
  EXPECT_EQ(fields.TextList("list", 2), (std::vector<std::string>{"p", "q"}));
  EXPECT_TRUE(fields.Contains("null"));
  EXPECT_FALSE(fields.Has("null"));
  EXPECT_TRUE(fields.status().ok()) << fields.status();
}

TEST(ConfigFieldsTest, WrongTypesAreErrors) {
  const Json object =
      Parse(R"({"float": 16.0, "bool": true, "null": null, "text": "8",
                "huge": 18446744073709551615, "nan": NaN, "ids": [1, 2.5],
                "texts": ["a", 1]})");
  for (const char* key : {"float", "bool", "null", "text", "huge", "nan"}) {
    ConfigFields fields(object, "f");
    EXPECT_EQ(fields.Int(key, 7, 0, 9), 7);
    EXPECT_FALSE(fields.status().ok()) << key;
  }
  for (const char* key : {"bool", "null", "text", "nan", "huge"}) {
    ConfigFields fields(object, "f");
    fields.Number(key, 7, 0, 100);
    EXPECT_FALSE(fields.status().ok()) << key;
  }
  ConfigFields nan(object, "f");
  nan.Number("nan", 7, 0, 100);
  EXPECT_EQ(GetErrorDetails(nan.status()).found, "NaN");
  ConfigFields ids(object, "f");
  EXPECT_EQ(ids.TokenIds("ids", {3}), std::vector<int64_t>{3});
  EXPECT_FALSE(ids.status().ok());
  ConfigFields texts(object, "f");
  EXPECT_TRUE(texts.TextList("texts", 9).empty());
  EXPECT_FALSE(texts.status().ok());
}

TEST(ConfigFieldsTest, TheFirstErrorIsKeptAndNamesScopeFoundAndExpected) {
  const Json object = Parse(R"({"a": -4, "b": "x"})");
  ConfigFields fields(object, "config.json", "rope.");
  fields.Int("a", 0, 1, 8);
  fields.Bool("b", false);
  EXPECT_EQ(fields.status().message(),
            "config.json: \"rope.a\" is -4, expected an integer from 1 to 8");
  const ErrorDetails details = GetErrorDetails(fields.status());
  EXPECT_EQ(details.tensor, "rope.a");
  EXPECT_EQ(details.found, "-4");
}

TEST(ConfigFieldsTest, LongListsAreRefused) {
  const Json object = Parse(R"({"a": ["x", "y", "z"]})");
  ConfigFields fields(object, "f");
  fields.TextList("a", 2);
  EXPECT_FALSE(fields.status().ok());
}

}  // namespace
}  // namespace peft
