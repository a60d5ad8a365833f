#include "peft_cc/models/rope.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/rope_config.h"

namespace peft {
namespace {

// One frequency of f32 is this exact, relatively.
constexpr double kUlp = 1.2e-7;

std::vector<double> Numbers(const Json& list) {
  return list.get<std::vector<double>>();
}

RopeFrequencies FrequenciesOf(const Json& test) {
  const int64_t head_dim = test["head_dim"].get<int64_t>();
  const int64_t max_position = test["max_position"].get<int64_t>();
  const auto config =
      ReadRopeConfig(test["config"], "config.json", head_dim, max_position);
  EXPECT_TRUE(config.ok()) << config.status();
  return RopeFrequencies(*config, head_dim, max_position);
}

Json GoldenCases() {
  return *ParseJson(ReadText("peft_cc/models/testdata/rope.json"), "rope.json");
}

TEST(RopeTest, FrequenciesEqualTransformers) {
  for (const Json& test : GoldenCases()) {
    RopeFrequencies rope = FrequenciesOf(test);
    EXPECT_NEAR(rope.attention_scaling(),
                test["attention_scaling"].get<double>(), kUlp);
    for (const Json& step : test["steps"]) {
      rope.Update(step["length"].get<int64_t>());
      const std::vector<double> expected = Numbers(step["inv_freq"]);
      ASSERT_EQ(rope.inverse().size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(rope.inverse()[i] / expected[i], 1, 2 * kUlp)
            << test["config"] << " pair " << i << " at " << step["length"];
      }
    }
  }
}

TEST(RopeTest, TablesEqualTransformers) {
  for (const Json& test : GoldenCases()) {
    RopeFrequencies rope = FrequenciesOf(test);
    for (const Json& step : test["steps"]) {
      const int64_t length = step["length"].get<int64_t>();
      rope.Update(length);
      const std::vector<double> cosines = Numbers(step["cos"]);
      const std::vector<double> sines = Numbers(step["sin"]);
      const int64_t half = static_cast<int64_t>(cosines.size());
      std::vector<float> found(2 * half);
      FillRopeTables(rope, {length - 1}, {found.data(), 1, half, half},
                     {found.data() + half, 1, half, half});
      for (int64_t i = 0; i < half; ++i) {
        const double tolerance = kUlp * static_cast<double>(length + 2);
        EXPECT_NEAR(found[i], cosines[i], tolerance);
        EXPECT_NEAR(found[half + i], sines[i], tolerance);
      }
    }
  }
}

TEST(RopeTest, DynamicFrequenciesComeBackAfterReset) {
  RopeConfig config;
  config.type = RopeType::kDynamic;
  config.factor = 4;
  RopeFrequencies rope(config, 8, 16);
  const float before = rope.inverse()[1];
  rope.Update(100);
  EXPECT_LT(rope.inverse()[1], before);
  rope.Reset();
  EXPECT_EQ(rope.inverse()[1], before);
}

TEST(RopeTest, OtherTypesDoNotDependOnTheLength) {
  RopeConfig config;
  config.type = RopeType::kLinear;
  config.factor = 4;
  RopeFrequencies rope(config, 8, 16);
  const float before = rope.inverse()[1];
  rope.Update(100);
  EXPECT_EQ(rope.inverse()[1], before);
}

}  // namespace
}  // namespace peft
