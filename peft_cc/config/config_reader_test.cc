#include "peft_cc/config/config_reader.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

class ConfigReaderTest : public testing::Test {
 protected:
  // A reader of {"k": value}.
  ConfigReader Reader(const Json& value) {
    json_ = Json::object();
    json_["k"] = value;
    return ConfigReader(json_, &notes_);
  }

  Json json_;
  std::vector<std::string> notes_;
};

TEST_F(ConfigReaderTest, AbsentKeysLeaveTheDefault) {
  ConfigReader reader = Reader(1);
  int64_t integer = 7;
  bool flag = true;
  std::optional<std::vector<std::string>> strings;
  EXPECT_TRUE(reader.ReadInt("other", &integer).ok());
  EXPECT_TRUE(reader.ReadBool("other", &flag).ok());
  EXPECT_TRUE(reader.ReadStrings("other", &strings).ok());
  EXPECT_EQ(integer, 7);
  EXPECT_TRUE(flag);
  EXPECT_FALSE(strings.has_value());
}

TEST_F(ConfigReaderTest, IntegersMayBeWrittenAsFloatsWithANote) {
  int64_t integer = 0;
  EXPECT_TRUE(Reader(-8.0).ReadInt("k", &integer).ok());
  EXPECT_EQ(integer, -8);
  EXPECT_EQ(notes_, (std::vector<std::string>{"\"k\" is -8.0, taken as -8"}));
  for (const Json& value : {Json(8.5), Json(1e300), Json(NAN), Json(true),
                            Json("8"), Json(UINT64_MAX), Json(nullptr)}) {
    EXPECT_FALSE(Reader(value).ReadInt("k", &integer).ok()) << value;
  }
}

TEST_F(ConfigReaderTest, BooleansMayBeNullZeroOrOne) {
  for (const auto& [value, expected] :
       {std::make_pair(Json(nullptr), false), std::make_pair(Json(0), false),
        std::make_pair(Json(1), true), std::make_pair(Json(true), true)}) {
    bool flag = !expected;
    EXPECT_TRUE(Reader(value).ReadBool("k", &flag).ok()) << value;
    EXPECT_EQ(flag, expected) << value;
  }
  bool flag = false;
  EXPECT_FALSE(Reader(2).ReadBool("k", &flag).ok());
  EXPECT_FALSE(Reader("true").ReadBool("k", &flag).ok());
}

TEST_F(ConfigReaderTest, NumbersAreFinite) {
  double number = 0;
  EXPECT_TRUE(Reader(-2).ReadNumber("k", &number).ok());
  EXPECT_EQ(number, -2);
  EXPECT_FALSE(Reader(INFINITY).ReadNumber("k", &number).ok());
}

TEST_F(ConfigReaderTest, ErrorsNameKeyExpectedAndFound) {
  std::optional<std::vector<std::string>> strings;
  const absl::Status status =
      Reader(Json::array({"a", 1})).ReadStrings("k", &strings);
  EXPECT_EQ(status.message(),
            "adapter_config.json: \"k[1]\" is 1, expected a string");
  EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
  EXPECT_EQ(GetErrorDetails(status).expected, "a string");
  EXPECT_EQ(GetErrorDetails(status).found, "1");
}

TEST_F(ConfigReaderTest, KnowsWhatPythonTakesForFalse) {
  for (const Json& value : {Json(nullptr), Json(false), Json(0), Json(0.0),
                            Json(""), Json::array(), Json::object()}) {
    EXPECT_TRUE(IsEmptyValue(value)) << value;
  }
  for (const Json& value :
       {Json(true), Json(1), Json(-0.5), Json("0"), Json::array({nullptr})}) {
    EXPECT_FALSE(IsEmptyValue(value)) << value;
  }
}

}  // namespace
}  // namespace peft
