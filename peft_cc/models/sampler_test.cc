#include "peft_cc/models/sampler.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

GenerateOptions Sampling() {
  GenerateOptions options;
  options.do_sample = true;
  options.top_k = 0;
  return options;
}

GenerateOptions OptionsOf(const Json& json) {
  GenerateOptions options = Sampling();
  options.temperature = json.value("temperature", 1.0f);
  options.top_k = json.value("top_k", int64_t{0});
  options.top_p = json.value("top_p", 1.0f);
  options.min_p = json.value("min_p", 0.0f);
  options.repetition_penalty = json.value("repetition_penalty", 1.0f);
  return options;
}

// The probability of every token, summing up to 1.
std::vector<double> Probabilities(Sampler& sampler,
                                  const std::vector<float>& logits) {
  std::vector<double> result(logits.size(), 0);
  double total = 0;
  const auto candidates = sampler.Candidates(0, logits.data());
  EXPECT_TRUE(candidates.ok()) << candidates.status();
  for (const Sampler::Candidate& candidate : *candidates) {
    total += candidate.probability;
    result[candidate.token] = candidate.probability;
  }
  for (double& probability : result) probability /= total;
  return result;
}

TEST(SamplerTest, DistributionsEqualTransformers) {
  const Json data =
      *ParseJson(ReadText("peft_cc/models/testdata/sampler.json"), "data");
  const auto logits = data["logits"].get<std::vector<float>>();
  for (const Json& test : data["cases"]) {
    Sampler sampler(OptionsOf(test["options"]), logits.size(), 1);
    for (const Json& token : data["seen"]) {
      sampler.Observe(0, token.get<int64_t>());
    }
    const std::vector<double> found = Probabilities(sampler, logits);
    const auto expected = test["probabilities"].get<std::vector<double>>();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 1e-6) << test["options"] << " " << i;
    }
  }
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheGreatest) {
  Sampler sampler(GenerateOptions(), 4, 1);
  const std::vector<float> logits = {-1, 5, 5, 2};
  EXPECT_EQ(*sampler.Next(0, logits.data()), 1);
}

TEST(SamplerTest, ThePenaltyAlsoHoldsForGreedyAndPerRow) {
  GenerateOptions options;
  options.repetition_penalty = 2;
  Sampler sampler(options, 3, 2);
  const std::vector<float> logits = {-1.0f, 5, 4};
  sampler.Observe(0, 1);
  EXPECT_EQ(*sampler.Next(0, logits.data()), 2);
  EXPECT_EQ(*sampler.Next(1, logits.data()), 1);
  // Once, however often a token was seen; negative scores go down too.
  sampler.Observe(0, 1);
  sampler.Observe(0, 2);
  EXPECT_EQ(*sampler.Next(0, logits.data()), 1);
  sampler.Observe(1, 0);
  const std::vector<float> negative = {-1, -1.5f, -3};
  EXPECT_EQ(*sampler.Next(1, negative.data()), 1);
}

TEST(SamplerTest, DrawsFollowTheDistribution) {
  Sampler sampler(Sampling(), 3, 1);
  const std::vector<float> logits = {std::log(0.2f), -kInf, std::log(0.8f)};
  constexpr int kDraws = 20000;
  int count[3] = {0, 0, 0};
  for (int i = 0; i < kDraws; ++i) ++count[*sampler.Next(0, logits.data())];
  EXPECT_EQ(count[1], 0);
  // Six standard deviations.
  EXPECT_NEAR(count[0], 0.2 * kDraws, 6 * std::sqrt(0.16 * kDraws));
}

TEST(SamplerTest, SeedsAndRowsGiveTheirOwnStreams) {
  const std::vector<float> logits(50, 0.0f);
  const auto draw = [&](uint64_t seed, int64_t row) {
    GenerateOptions options = Sampling();
    options.seed = seed;
    Sampler sampler(options, 50, 2);
    std::vector<int64_t> tokens;
    for (int i = 0; i < 20; ++i) {
      tokens.push_back(*sampler.Next(row, logits.data()));
    }
    return tokens;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

// Documented: a seed gives the same tokens in every version.
TEST(SamplerTest, TheGeneratorIsStable) {
  GenerateOptions options = Sampling();
  options.seed = 42;
  Sampler sampler(options, 1000, 1);
  const std::vector<float> logits(1000, 0.0f);
  std::vector<int64_t> tokens;
  for (int i = 0; i < 4; ++i) {
    tokens.push_back(*sampler.Next(0, logits.data()));
  }
  EXPECT_EQ(tokens, (std::vector<int64_t>{466, 988, 213, 83}));
}

TEST(SamplerTest, LogitsThatAreNotNumbersAreErrors) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const std::vector<float> with_nan = {1, kNan, 2};
  const std::vector<float> infinite = {1, kInf, 2};
  const std::vector<float> nothing = {-kInf, -kInf, -kInf};
  Sampler greedy(GenerateOptions(), 3, 1);
  EXPECT_TRUE(IsError(greedy.Next(0, with_nan.data()).status(), kInvalid,
                      "LOGITS_NOT_FINITE", "row 0 hold a NaN"));
  Sampler sampler(Sampling(), 3, 1);
  EXPECT_TRUE(IsError(sampler.Next(0, with_nan.data()).status(), kInvalid,
                      "LOGITS_NOT_FINITE", "hold a NaN"));
  EXPECT_FALSE(sampler.Next(0, infinite.data()).ok());
  EXPECT_FALSE(sampler.Next(0, nothing.data()).ok());
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  const auto check = [](const GenerateOptions& options, const char* text) {
    return IsError(CheckSamplingOptions(options),
                   absl::StatusCode::kInvalidArgument, "ARGUMENT", text);
  };
  for (const float value : {0.0f, -1.0f, kNan, kInf}) {
    GenerateOptions options = Sampling();
    options.temperature = value;
    EXPECT_TRUE(check(options, "temperature is"));
    options = GenerateOptions();
    options.repetition_penalty = value;
    EXPECT_TRUE(check(options, "repetition_penalty is"));
  }
  for (const float value : {-0.1f, 1.1f, kNan}) {
    GenerateOptions options = Sampling();
    options.top_p = value;
    EXPECT_TRUE(check(options, "top_p is"));
    options = Sampling();
    options.min_p = value;
    EXPECT_TRUE(check(options, "min_p is"));
  }
  GenerateOptions options = Sampling();
  options.top_k = -1;
  EXPECT_TRUE(check(options, "top_k is -1"));
  options.do_sample = false;
  EXPECT_TRUE(CheckSamplingOptions(options).ok());
}

}  // namespace
}  // namespace peft
