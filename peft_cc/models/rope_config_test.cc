#include "peft_cc/models/rope_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

absl::StatusOr<RopeConfig> Read(const std::string& text, int64_t head_dim = 8) {
  return ReadRopeConfig(*ParseJson(text, "test", {}, true), "config.json",
                        head_dim, 2048);
}

::testing::AssertionResult IsConfigError(const std::string& text,
                                         absl::string_view message) {
  return IsError(Read(text).status(), absl::StatusCode::kInvalidArgument,
                 "MODEL_CONFIG", message);
}

::testing::AssertionResult IsUnsupported(const std::string& text,
                                         absl::string_view message) {
  return IsError(Read(text).status(), absl::StatusCode::kUnimplemented,
                 "MODEL_UNSUPPORTED", message);
}

TEST(RopeConfigTest, AbsentParametersAreTheDefault) {
  for (const char* text :
       {"{}", R"({"rope_scaling": null, "rope_parameters": null})",
        R"({"rope_scaling": {}})"}) {
    const auto rope = Read(text);
    ASSERT_TRUE(rope.ok()) << rope.status();
    EXPECT_EQ(rope->type, RopeType::kDefault);
    EXPECT_EQ(rope->theta, 10000);
  }
}

TEST(RopeConfigTest, ReadsThetaInsideTheParametersBeforeTheOneBeside) {
  EXPECT_EQ(Read(R"({"rope_theta": 5})")->theta, 5);
  EXPECT_EQ(Read(R"({"rope_theta": 5, "rope_parameters":
                     {"rope_type": "default", "rope_theta": 7.5}})")
                ->theta,
            7.5);
}

TEST(RopeConfigTest, TheOldKeyWinsOverTheNewOne) {
  const auto rope = Read(R"({"rope_theta": 5,
      "rope_scaling": {"type": "linear", "factor": 2},
      "rope_parameters": {"rope_type": "default", "rope_theta": 7}})");
  ASSERT_TRUE(rope.ok());
  EXPECT_EQ(rope->type, RopeType::kLinear);
  EXPECT_EQ(rope->factor, 2);
  EXPECT_EQ(rope->theta, 5);
}

TEST(RopeConfigTest, RopeTypeWinsOverType) {
  EXPECT_EQ(Read(R"({"rope_scaling":
      {"type": "default", "rope_type": "dynamic", "factor": 2}})")
                ->type,
            RopeType::kDynamic);
}

TEST(RopeConfigTest, TheOriginalLengthBesideTheParametersWins) {
  const std::string yarn =
      R"("rope_scaling": {"rope_type": "yarn", "factor": 2,
          "original_max_position_embeddings": 100})";
  EXPECT_EQ(Read("{" + yarn + "}")->original_max_position, 100);
  EXPECT_EQ(Read(R"({"original_max_position_embeddings": 50, )" + yarn + "}")
                ->original_max_position,
            50);
  EXPECT_EQ(Read(R"({"rope_scaling": {"rope_type": "yarn", "factor": 2}})")
                ->original_max_position,
            2048);
}

TEST(RopeConfigTest, YarnTakesNullAndZeroAsNotGiven) {
  const auto rope = Read(R"({"rope_scaling": {"rope_type": "yarn",
      "factor": null, "original_max_position_embeddings": 512, "beta_fast": 0,
      "beta_slow": null, "mscale": null, "attention_factor": null}})");
  ASSERT_TRUE(rope.ok()) << rope.status();
  EXPECT_EQ(rope->factor, 4);
  EXPECT_EQ(rope->beta_fast, 32);
  EXPECT_EQ(rope->beta_slow, 1);
  EXPECT_EQ(rope->mscale, 0);
  EXPECT_FALSE(rope->attention_factor.has_value());
  EXPECT_TRUE(rope->truncate);
}

TEST(RopeConfigTest, RefusesOtherVariantsByName) {
  EXPECT_TRUE(IsUnsupported(R"({"rope_scaling": {"type": "longrope"}})",
                            R"("rope_scaling.type" is "longrope")"));
  EXPECT_TRUE(IsUnsupported(R"({"rope_parameters": {"rope_type": "mrope"}})",
                            R"("rope_parameters.rope_type" is "mrope")"));
  EXPECT_TRUE(IsUnsupported(R"({"partial_rotary_factor": 0.5})",
                            "partial_rotary_factor"));
  EXPECT_TRUE(
      IsUnsupported(R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
                    "rope_parameters.partial_rotary_factor"));
  EXPECT_TRUE(IsUnsupported(R"({"rope_parameters": {"sliding_attention": {}}})",
                            "rope_parameters.sliding_attention"));
  EXPECT_TRUE(IsUnsupported(R"({"rope_scaling":
      {"type": "default", "mrope_section": [1, 2]}})",
                            "mrope_section"));
  EXPECT_TRUE(Read(R"({"partial_rotary_factor": 1.0})").ok());
}

TEST(RopeConfigTest, NamesMissingParameters) {
  EXPECT_TRUE(IsConfigError(R"({"rope_scaling": {"type": "linear"}})",
                            R"("rope_scaling.factor" is nothing)"));
  EXPECT_TRUE(IsConfigError(R"({"rope_scaling": {"type": "yarn"}})",
                            "rope_scaling.factor"));
  EXPECT_TRUE(IsConfigError(
      R"({"rope_scaling": {"type": "llama3", "factor": 8,
          "low_freq_factor": 1}})",
      "rope_scaling.high_freq_factor"));
}

TEST(RopeConfigTest, NamesHostileNumbers) {
  for (const char* value :
       {"0", "-1", "NaN", "Infinity", "1e300", "\"2\"", "true", "[2]", "{}"}) {
    EXPECT_TRUE(IsConfigError(
        absl::StrCat(R"({"rope_scaling": {"type": "linear", "factor": )", value,
                     "}}"),
        "rope_scaling.factor"))
        << value;
    EXPECT_TRUE(IsConfigError(absl::StrCat(R"({"rope_theta": )", value, "}"),
                              "rope_theta"))
        << value;
  }
  EXPECT_TRUE(IsConfigError(R"({"rope_scaling": "linear"})", "rope_scaling"));
  EXPECT_TRUE(IsConfigError(R"({"rope_scaling": {"type": "llama3", "factor": 8,
      "low_freq_factor": 2, "high_freq_factor": 2}})",
                            "high_freq_factor"));
  EXPECT_TRUE(IsConfigError(R"({"rope_theta": 1, "rope_scaling":
      {"type": "yarn", "factor": 2}})",
                            "a rope_theta other than 1"));
  EXPECT_TRUE(IsConfigError(R"({"rope_theta": 1e-30, "rope_scaling":
      {"type": "linear", "factor": 1e-30}})",
                            "not finite"));
}

TEST(RopeConfigTest, DynamicNeedsHeadsOfMoreThanTwo) {
  const std::string text =
      R"({"rope_scaling": {"type": "dynamic", "factor": 2}})";
  EXPECT_TRUE(Read(text, 4).ok());
  EXPECT_FALSE(Read(text, 2).ok());
}

}  // namespace
}  // namespace peft
