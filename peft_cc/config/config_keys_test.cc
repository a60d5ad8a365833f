#include "peft_cc/config/config_keys.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr ConfigKey kKeys[] = {
    {"a", KeyUse::kRefusedUnlessEmpty, kAnyType, "a is new"},
    {"b", KeyUse::kTraining, kNumberType, ""},
};
constexpr ConfigKey kOverride[] = {{"a", KeyUse::kTraining, kAnyType, ""}};

std::string CheckedId(const char* text, const std::vector<ConfigKeys>& tables,
                      KeyOptions options = {}) {
  const Json json = *ParseJson(text, "test");
  std::vector<std::string> notes, ignored;
  ConfigReader reader(json, &notes);
  return std::string(
      ErrorId(CheckConfigKeys(json, tables, options, reader, ignored)));
}

TEST(ConfigKeysTest, ChecksUseAndType) {
  EXPECT_EQ(CheckedId(R"({"a": 0, "b": 1})", {kKeys}), "");
  EXPECT_EQ(CheckedId(R"({"a": 1})", {kKeys}),
            error_id::kAdapterFeatureUnsupported);
  EXPECT_EQ(CheckedId(R"({"b": "x"})", {kKeys}), error_id::kAdapterConfig);
}

TEST(ConfigKeysTest, TheFirstTableWithAKeyDecides) {
  EXPECT_EQ(CheckedId(R"({"a": 1})", {kOverride, kKeys}), "");
  EXPECT_EQ(CheckedId(R"({"b": "x"})", {kOverride, kKeys}),
            error_id::kAdapterConfig);
}

TEST(ConfigKeysTest, UnknownKeysNeedLenience) {
  EXPECT_EQ(CheckedId(R"({"c": 1})", {kKeys}),
            error_id::kAdapterConfigUnknownKey);
  EXPECT_EQ(CheckedId(R"({"c": 1})", {kKeys}, {true, false}), "");
}

TEST(ConfigKeysTest, ForeignKeysAreNoneOfPefts) {
  EXPECT_TRUE(IsHarmlessForeignKey("lorap_lr_ratio"));
  EXPECT_FALSE(IsHarmlessForeignKey("enable_lora"));
  EXPECT_FALSE(IsHarmlessForeignKey("r"));
}

}  // namespace
}  // namespace peft
