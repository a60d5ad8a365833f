#include "peft_cc/adapters/target_sites.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TargetConfig RegexConfig(const std::string& regex) {
  TargetConfig config;
  config.target_modules.emplace();
  config.target_modules->is_regex = true;
  config.target_modules->regex = regex;
  return config;
}

std::vector<std::string> Targets(const TargetConfig& config,
                                 const KeyMap& keys = {}) {
  const SiteTable sites = TinySites();
  std::vector<std::string> notes;
  const auto targets =
      FindTargetSites(config, "", *FindMethod("LORA"), sites, keys, &notes);
  std::vector<std::string> names;
  for (const TargetSite& target : *targets) {
    names.push_back(sites.sites()[target.site].name);
  }
  return names;
}

TEST(FindTargetSitesTest, AllLinearLeavesOutTheHead) {
  EXPECT_THAT(Targets(RegexConfig("all-linear")), SizeIs(14));
}

TEST(FindTargetSitesTest, AllLinearLeavesOutTheClassifierOfSequencesOnly) {
  std::vector<Site> all(2);
  all[0].name = "layer";
  all[1].name = "score";
  all[1].is_classifier = true;
  const SiteTable sites(std::move(all), {"", "layer", "score"}, "llama");
  const TargetConfig config = RegexConfig("all-linear");
  std::vector<std::string> notes;
  const MethodInfo& lora = *FindMethod("LORA");
  EXPECT_THAT(*FindTargetSites(config, "SEQ_CLS", lora, sites, {}, &notes),
              SizeIs(1));
  EXPECT_THAT(*FindTargetSites(config, "TOKEN_CLS", lora, sites, {}, &notes),
              SizeIs(2));
}

TEST(FindTargetSitesTest, EmbeddingsAreSites) {
  EXPECT_THAT(Targets(RegexConfig(".*embed_tokens|lm_head")),
              ElementsAre("model.embed_tokens", "lm_head"));
}

TEST(FindTargetSitesTest, NamesOfABareModelAreMatchedAsTrained) {
  KeyMap keys;
  keys.style = NameStyle::kWithoutOuter;
  keys.outer = "model.";
  EXPECT_THAT(Targets(RegexConfig(R"(layers\.0\.mlp\.up_proj|lm_head)"), keys),
              ElementsAre("model.layers.0.mlp.up_proj"));
}

TEST(FindTargetSitesTest, FanInFanOutIsCorrected) {
  TargetConfig config = RegexConfig(".*q_proj");
  config.fan_in_fan_out = true;
  std::vector<std::string> notes;
  const auto targets =
      FindTargetSites(config, "", *FindMethod("LORA"), TinySites(), {}, &notes);
  EXPECT_THAT(*targets, SizeIs(2));
  EXPECT_THAT(notes, SizeIs(1));
}

}  // namespace
}  // namespace peft
