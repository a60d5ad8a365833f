#include "peft_cc/adapters/combined_config.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::HasSubstr;

ModuleSelector Names(std::vector<std::string> names) {
  ModuleSelector selector;
  selector.names = std::move(names);
  return selector;
}

ModuleSelector Regex(const std::string& regex) {
  ModuleSelector selector;
  selector.is_regex = true;
  selector.regex = regex;
  return selector;
}

Json Config(const std::string& text) { return *ParseJson(text, "config"); }

TEST(UniteSelectorsTest, NamesStandOnceInOrder) {
  EXPECT_EQ(UniteSelectors("target_modules", {{"a", Names({"v", "q"}), {}},
                                              {"b", Names({"q", "k"}), {}}})
                ->dump(),
            R"(["v","q","k"])");
}

TEST(UniteSelectorsTest, RegexesBecomeAlternatives) {
  EXPECT_EQ(*UniteSelectors("target_modules",
                            {{"a", Regex("x|y"), {}}, {"b", Regex("z"), {}}})
                 ->get_ptr<const std::string*>(),
            "(x|y)|(z)");
}

TEST(UniteSelectorsTest, AllLinearAndNullAreTheModulesThatTheyMeant) {
  EXPECT_EQ(UniteSelectors("target_modules", {{"a", Regex("ALL-linear"), {"x"}},
                                              {"b", std::nullopt, {"y"}},
                                              {"c", Names({"z"}), {"unused"}}})
                ->dump(),
            R"(["x","y","z"])");
}

TEST(UniteSelectorsTest, ARegexBesideAListNamesBothSources) {
  const absl::Status status =
      UniteSelectors("feedforward_modules",
                     {{"a", Names({"q"}), {}}, {"b", Regex("q"), {}}})
          .status();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterNotCombinable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("adapter \"b\" cannot be combined: its "
                        "feedforward_modules is a regex, that of \"a\" a "
                        "list"));
}

TEST(RegexOfNamesTest, EscapesWhatARegexWouldRead) {
  EXPECT_EQ(RegexOfNames({"a.b_c", "x[0]+"}), R"(a\.b_c|x\[0\]\+)");
}

class FitTargetsTest : public ::testing::Test {
 protected:
  std::set<int> SitesOf(const std::vector<std::string>& names) {
    std::set<int> result;
    for (const std::string& name : names) result.insert(sites_.Find(name));
    return result;
  }
  std::string Targets(const std::string& config,
                      const std::vector<std::string>& names) {
    const auto fit = FitTargets(sites_, Config(config), SitesOf(names));
    return fit.ok() ? fit->config.json.at("target_modules").dump()
                    : fit.status().ToString();
  }

  SiteTable sites_ = TinySites();
};

TEST_F(FitTargetsTest, KeepsAConfigThatTargetsWhatIsWanted) {
  EXPECT_EQ(Targets(R"({"peft_type": "LORA", "target_modules": ["q_proj"]})",
                    {"model.layers.0.self_attn.q_proj",
                     "model.layers.1.self_attn.q_proj"}),
            R"(["q_proj"])");
}

TEST_F(FitTargetsTest, NamesModulesWhereItTargetsMore) {
  EXPECT_EQ(Targets(R"({"peft_type": "LORA", "target_modules": ["q_proj"]})",
                    {"model.layers.0.self_attn.q_proj"}),
            R"(["model.layers.0.self_attn.q_proj"])");
}

TEST_F(FitTargetsTest, NamesModulesWhereItTargetsNothingHere) {
  EXPECT_EQ(Targets(R"({"peft_type": "LORA", "layers_to_transform": [1],
                        "exclude_modules": ["lm_head"], "target_modules":
                        "layers\\.0\\.self_attn\\.q_proj"})",
                    {"model.layers.0.self_attn.q_proj"}),
            R"(["model.layers.0.self_attn.q_proj"])");
}

}  // namespace
}  // namespace peft
