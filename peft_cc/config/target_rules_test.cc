#include "peft_cc/config/target_rules.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

ModuleSelector Names(Strings names) {
  return ModuleSelector{false, "", std::move(names)};
}

ModuleSelector Regex(const std::string& regex) {
  return ModuleSelector{true, regex, {}};
}

// 't' for targeted, 'n' for not, 'x' for excluded, for each of `names`.
std::string Decisions(const TargetConfig& config, const ModuleSelector& target,
                      const Strings& names) {
  const auto rules = TargetRules::Create(config, target);
  if (!rules.ok()) return rules.status().ToString();
  std::string decisions;
  for (const std::string& name : names) {
    const auto decision = rules->Decide(name);
    if (!decision.ok()) return ErrorId(decision.status());
    decisions += *decision == TargetDecision::kTargeted   ? 't'
                 : *decision == TargetDecision::kExcluded ? 'x'
                                                          : 'n';
  }
  return decisions;
}

TEST(TargetRulesTest, ExcludedModulesAreExcludedEvenIfNotTargeted) {
  TargetConfig config;
  config.exclude_modules = Names({"b", "a.c"});
  EXPECT_EQ(Decisions(config, Names({"a", "b"}), {"a", "b", "x.b", "a.c", "c"}),
            "txxxn");
  config.exclude_modules = Regex(".*b");
  EXPECT_EQ(Decisions(config, Names({"a"}), {"a", "ab", "b.a"}), "txt");
}

TEST(TargetRulesTest, AnEmptyExcludeExcludesNothing) {
  TargetConfig config;
  config.exclude_modules = Regex("");
  EXPECT_EQ(Decisions(config, Regex(".*"), {"a", ""}), "tt");
}

TEST(TargetRulesTest, SavedModulesAndWhatIsInThemAreExcluded) {
  TargetConfig config;
  config.modules_to_save = {"head"};
  EXPECT_EQ(Decisions(config, Regex(".*"),
                      {"head", "m.head", "m.head.x", "m.heads", "m.xhead"}),
            "xxxtt");
}

TEST(TargetRulesTest, TheLayerIsTheFirstNumberBelowTwoElements) {
  TargetConfig config;
  config.layers_to_transform = {1};
  EXPECT_EQ(Decisions(config, Names({"q"}),
                      {"m.layers.1.q", "m.layers.0.q", "m.layers.1.x.0.q",
                       "m.layers.0.x.1.q", "layers.1.q", "m.q"}),
            "tntnnn");
}

TEST(TargetRulesTest, AnEmptyLayerListIsNoFilter) {
  TargetConfig config;
  config.layers_to_transform.emplace();
  EXPECT_EQ(Decisions(config, Names({"q"}), {"m.layers.0.q", "m.q"}), "tt");
}

TEST(TargetRulesTest, LayersPatternNamesWhatIsNumbered) {
  TargetConfig config;
  config.layers_to_transform = {1};
  config.layers_pattern = {"h", "layers"};
  EXPECT_EQ(Decisions(config, Names({"q"}),
                      {"layers.1.q", "m.h.1.q", "m.b.1.q", "m.b.0.layers.1.q",
                       "m.h.0.q"}),
            "ttntn");
}

TEST(TargetRulesTest, FullNamesAreNotFilteredByLayer) {
  TargetConfig config;
  config.layers_to_transform = {1};
  EXPECT_EQ(Decisions(config, Names({"m.layers.0.q", "m.layers.1.q"}),
                      {"m.layers.0.q", "m.layers.1.q"}),
            "tt");
}

TEST(TargetRulesTest, ABadLayersPatternIsAnErrorWhenItIsNeeded) {
  TargetConfig config;
  config.layers_to_transform = {1};
  config.layers_pattern = {"("};
  EXPECT_EQ(Decisions(config, Names({"q"}), {"q", "m.x"}), "tn");
  EXPECT_EQ(Decisions(config, Names({"q"}), {"m.q"}), error_id::kRegex);
}

}  // namespace
}  // namespace peft
