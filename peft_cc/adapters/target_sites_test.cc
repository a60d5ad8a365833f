#include "peft_cc/adapters/target_sites.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

LoraConfig RegexConfig(const std::string& regex) {
  LoraConfig config;
  config.target_modules.emplace();
  config.target_modules->is_regex = true;
  config.target_modules->regex = regex;
  return config;
}

std::vector<std::string> Targets(const LoraConfig& config,
                                 const KeyMap& keys = {}) {
  const SiteTable sites = TinySites();
  std::vector<std::string> notes;
  const auto targets = FindTargetSites(config, "", sites, keys, &notes);
  std::vector<std::string> names;
  for (const TargetSite& target : *targets) {
    names.push_back(sites.sites()[target.site].name);
  }
  return names;
}

TEST(FindTargetSitesTest, AllLinearLeavesOutTheHead) {
  EXPECT_THAT(Targets(RegexConfig("all-linear")), SizeIs(14));
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

TEST(FindTargetSitesTest, RanksFollowThePatterns) {
  LoraConfig config = RegexConfig(".*(q|k)_proj");
  config.rank_pattern = {{"q_proj", 4}};
  config.alpha_pattern = {{"k_proj", 3}};
  std::vector<std::string> notes;
  const auto targets = *FindTargetSites(config, "", TinySites(), {}, &notes);
  ASSERT_THAT(targets, SizeIs(4));
  EXPECT_EQ(targets[0].rank.r, 4);
  EXPECT_EQ(targets[0].rank.alpha, 8);
  EXPECT_EQ(targets[1].rank.r, 8);
  EXPECT_EQ(targets[1].rank.alpha, 3);
}

}  // namespace
}  // namespace peft
