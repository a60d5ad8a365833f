#include "peft_cc/config/target_matcher.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_ranks.h"

namespace peft {
namespace {

std::vector<ModuleInfo> Linears(const std::vector<std::string>& names) {
  std::vector<ModuleInfo> modules;
  for (const std::string& name : names) modules.push_back({name, true, false});
  return modules;
}

AdapterConfig DefaultConfig() {
  AdapterConfig config;
  config.base.peft_type = "LORA";
  config.lora.emplace();
  return config;
}

AdapterConfig Targets(const std::vector<std::string>& names) {
  AdapterConfig config = DefaultConfig();
  config.targets.target_modules = ModuleSelector{false, "", names};
  return config;
}

AdapterConfig TargetRegex(const std::string& regex) {
  AdapterConfig config = DefaultConfig();
  config.targets.target_modules = ModuleSelector{true, regex, {}};
  return config;
}

struct Outcome {
  absl::Status status;
  std::vector<std::string> names;
  std::vector<LoraRank> ranks;
  std::vector<std::string> notes;
};

Outcome Match(const AdapterConfig& config,
              const std::vector<ModuleInfo>& modules,
              const std::string& model_type = "llama") {
  Outcome outcome;
  auto names = MatchTargets(config.targets, config.base.peft_type, modules,
                            model_type, &outcome.notes);
  outcome.status = names.status();
  if (!names.ok()) return outcome;
  outcome.names = *std::move(names);
  auto ranks = FindLoraRanks(*config.lora, outcome.names, &outcome.notes);
  outcome.status = ranks.status();
  if (ranks.ok()) outcome.ranks = *std::move(ranks);
  return outcome;
}

using Strings = std::vector<std::string>;

// What PEFT itself did, see testdata/make_match_cases.py.
class PeftCasesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file("peft_cc/config/testdata/match_cases.json");
    std::stringstream text;
    text << file.rdbuf();
    absl::StatusOr<Json> json = ParseJson(text.str(), "match_cases.json");
    ASSERT_TRUE(json.ok()) << json.status();
    cases_ = (*json)["cases"];
    for (const Json& model : (*json)["models"]) {
      models_.push_back(Modules(model));
      types_.push_back(model["type"].get<std::string>());
    }
  }

  static std::vector<ModuleInfo> Modules(const Json& model) {
    std::vector<ModuleInfo> modules;
    for (const Json& name : model["names"]) {
      modules.push_back({name.get<std::string>(), false, false});
    }
    for (const Json& i : model["linear"]) {
      modules[i.get<size_t>()].is_linear = true;
    }
    for (const Json& i : model["head"]) {
      modules[i.get<size_t>()].is_output_embedding = true;
    }
    return modules;
  }

  Outcome Run(const Json& one) const {
    Json json = one["config"];
    json["peft_type"] = "LORA";
    const auto config = ParseAdapterConfig(DumpJson(json));
    if (!config.ok()) return {config.status(), {}, {}, {}};
    const auto model = one["model"].get<size_t>();
    return Match(*config, models_[model], types_[model]);
  }

  // "r/alpha" of every target, under its name.
  std::map<std::string, std::string> Expected(const Json& one) const {
    std::map<std::string, std::string> expected;
    const auto& modules = models_[one["model"].get<size_t>()];
    for (const auto& [scale, indices] : one["targets"].items()) {
      for (const Json& i : indices) {
        expected[modules[i.get<size_t>()].name] = scale;
      }
    }
    return expected;
  }

  Json cases_;
  std::vector<std::vector<ModuleInfo>> models_;
  std::vector<std::string> types_;
};

TEST_F(PeftCasesTest, TargetsRanksAndAlphasAreThoseOfPeft) {
  int compared = 0;
  for (const Json& one : cases_) {
    if (!one.contains("targets")) continue;
    const Outcome outcome = Run(one);
    ASSERT_TRUE(outcome.status.ok()) << one["config"] << outcome.status;
    std::map<std::string, std::string> found;
    for (size_t i = 0; i < outcome.names.size(); ++i) {
      found[outcome.names[i]] =
          absl::StrCat(outcome.ranks[i].r, "/", outcome.ranks[i].alpha);
    }
    EXPECT_EQ(found, Expected(one)) << one["config"];
    ++compared;
  }
  EXPECT_GT(compared, 200);
}

TEST_F(PeftCasesTest, KeysWithoutEffectAreThoseOfPeft) {
  int compared = 0;
  for (const Json& one : cases_) {
    if (!one.contains("unused")) continue;
    const Outcome outcome = Run(one);
    for (const auto& [what, keys] : one["unused"].items()) {
      std::string note = absl::StrCat(what, " has keys that match no target: ");
      for (const Json& key : keys) {
        absl::StrAppend(&note, Quoted(key.get<std::string>()), ", ");
      }
      note.resize(note.size() - 2);
      EXPECT_NE(std::find(outcome.notes.begin(), outcome.notes.end(), note),
                outcome.notes.end())
          << one["config"] << note;
      ++compared;
    }
  }
  EXPECT_GT(compared, 40);
}

TEST_F(PeftCasesTest, FailsWherePeftFailsForItsReason) {
  const std::map<std::string, std::string> ids = {
      {"config", error_id::kAdapterConfig},
      {"default", error_id::kAdapterConfig},
      {"regex", error_id::kRegex},
      {"excluded", "every module is"},
      {"empty", "target_modules is empty"},
      {"not found", "matches no module"},
      {"mixed", "no module is left"}};
  std::set<std::string> kinds;
  for (const Json& one : cases_) {
    if (!one.contains("error")) continue;
    const Outcome outcome = Run(one);
    const auto kind = one["error"].get<std::string>();
    kinds.insert(kind);
    EXPECT_TRUE(ErrorId(outcome.status) == ids.at(kind) ||
                (ErrorId(outcome.status) == error_id::kNoTargetMatched &&
                 absl::StrContains(outcome.status.message(), ids.at(kind))))
        << one << outcome.status;
  }
  EXPECT_EQ(kinds.size(), ids.size());
}

TEST(TargetMatcherTest, SuffixesMatchWholeElementsInModelOrder) {
  const Outcome outcome =
      Match(Targets({"v_proj", "attn.q_proj"}),
            Linears({"m.attn.q_proj", "m.cross.q_proj", "m.attn.xv_proj",
                     "m.attn.v_proj", "v_proj"}));
  EXPECT_EQ(outcome.names,
            (Strings{"m.attn.q_proj", "m.attn.v_proj", "v_proj"}));
}

TEST(TargetMatcherTest, RegexMatchesTheWholeName) {
  const auto modules = Linears({"m.q_proj", "m.q_proj_2"});
  EXPECT_EQ(Match(TargetRegex(".*q_proj"), modules).names,
            (Strings{"m.q_proj"}));
  EXPECT_EQ(ErrorId(Match(TargetRegex("q_proj"), modules).status),
            error_id::kNoTargetMatched);
}

TEST(TargetMatcherTest, AllLinearLeavesOutTheHeadAndWhatIsNotLinear) {
  std::vector<ModuleInfo> modules = Linears({"m.up", "m.norm", "lm_head"});
  modules[1].is_linear = false;
  modules[2].is_output_embedding = true;
  EXPECT_EQ(Match(TargetRegex("All-Linear"), modules).names, (Strings{"m.up"}));
}

TEST(TargetMatcherTest, ReturnsModulesThatAreNotLinear) {
  std::vector<ModuleInfo> modules = Linears({"m.self_attn"});
  modules[0].is_linear = false;
  EXPECT_EQ(Match(Targets({"self_attn"}), modules).names,
            (Strings{"m.self_attn"}));
}

TEST(TargetMatcherTest, DefaultTargetsDependOnTheModelType) {
  const auto modules = Linears({"a.q_proj", "a.k_proj", "a.c_attn"});
  EXPECT_EQ(Match(DefaultConfig(), modules, "qwen3").names,
            (Strings{"a.q_proj"}));
  EXPECT_EQ(Match(DefaultConfig(), modules, "gpt2").names,
            (Strings{"a.c_attn"}));
  const Outcome unknown = Match(DefaultConfig(), modules, "phi3");
  EXPECT_EQ(ErrorId(unknown.status), error_id::kAdapterConfig);
  EXPECT_TRUE(absl::StrContains(unknown.status.message(), "\"phi3\""));
}

TEST(TargetMatcherTest, DefaultOfGemma4IsARegex) {
  const auto modules = Linears({"language_model.l.q_proj", "vision.q_proj",
                                "model.language_model.layers.1.q_proj"});
  EXPECT_EQ(Match(DefaultConfig(), modules, "gemma4").names,
            (Strings{"language_model.l.q_proj",
                     "model.language_model.layers.1.q_proj"}));
}

TEST(TargetMatcherTest, TheFirstKeyOfTheFileWins) {
  AdapterConfig config = Targets({"q_proj"});
  config.lora->rank_pattern = {{".*proj", 2}, {"q_proj", 3}};
  config.lora->alpha_pattern = {{"q_proj", 5}, {".*proj", 7}};
  const Outcome outcome = Match(config, Linears({"m.q_proj"}));
  ASSERT_EQ(outcome.ranks.size(), 1u);
  EXPECT_EQ(outcome.ranks[0].r, 2);
  EXPECT_EQ(outcome.ranks[0].alpha, 5);
  EXPECT_TRUE(outcome.notes.empty());
}

TEST(TargetMatcherTest, DotsInPatternKeysAreAnyCharacter) {
  AdapterConfig config = Targets({"q_proj"});
  config.lora->rank_pattern = {{"layers.1.q.proj", 2}};
  const Outcome outcome =
      Match(config, Linears({"m.layers.1.q_proj", "m.layers.2.q_proj",
                             "m.layersX1.q_proj", "m.\u00e9layers.1.q_proj"}));
  ASSERT_EQ(outcome.ranks.size(), 4u);
  EXPECT_EQ(outcome.ranks[0].r, 2);
  EXPECT_EQ(outcome.ranks[1].r, 8);
  EXPECT_EQ(outcome.ranks[2].r, 2);
  EXPECT_EQ(outcome.ranks[3].r, 8);
}

TEST(TargetMatcherTest, BadRegexesNameTheirKey) {
  const auto modules = Linears({"m.q_proj"});
  AdapterConfig config = Targets({"q_proj"});
  config.lora->rank_pattern = {{"q_proj", 2}, {"(", 3}};
  Outcome outcome = Match(config, modules);
  EXPECT_EQ(ErrorId(outcome.status), error_id::kRegex);
  EXPECT_TRUE(absl::StartsWith(outcome.status.message(), "rank_pattern: "))
      << outcome.status;
  outcome = Match(TargetRegex("*"), modules);
  EXPECT_TRUE(absl::StartsWith(outcome.status.message(), "target_modules: "))
      << outcome.status;
}

TEST(TargetMatcherTest, MambaRefusesItsOutputProjection) {
  const auto modules = Linears({"m.out_proj", "m.in_proj"});
  EXPECT_EQ(ErrorId(Match(Targets({"out_proj"}), modules, "mamba").status),
            error_id::kAdapterConfig);
  EXPECT_TRUE(Match(Targets({"in_proj"}), modules, "mamba").status.ok());
  EXPECT_TRUE(Match(Targets({"out_proj"}), modules, "bart").status.ok());
}

TEST(TargetMatcherTest, NotesAnExcludeWithoutEffect) {
  AdapterConfig config = Targets({"q_proj"});
  config.targets.exclude_modules = ModuleSelector{false, "", {"lm_head"}};
  const Outcome outcome = Match(config, Linears({"m.q_proj"}));
  ASSERT_EQ(outcome.notes.size(), 1u);
  EXPECT_TRUE(absl::StrContains(outcome.notes[0], "\"lm_head\""));
}

// 19,800 modules as in a large mixture of experts, each with a rank of its own.
TEST(TargetMatcherTest, LargeModelsTakeNoTime) {
  Strings names;
  AdapterConfig config = TargetRegex(R"(.*\.experts\.\d+\.w[123])");
  for (int layer = 0; layer < 20; ++layer) {
    for (int expert = 0; expert < 330; ++expert) {
      for (const char* w : {"w1", "w2", "w3"}) {
        names.push_back(absl::StrCat("model.layers.", layer, ".mlp.experts.",
                                     expert, ".", w));
        config.lora->rank_pattern.emplace_back(names.back(), layer + 1);
      }
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = Match(config, Linears(names));
  ASSERT_EQ(outcome.ranks.size(), names.size()) << outcome.status;
  EXPECT_EQ(outcome.ranks.back().r, 20);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

// Plain keys of one length whose dots are all at other places.
TEST(TargetMatcherTest, ManyShapesOfKeysTakeNoTime) {
  AdapterConfig config = Targets({"q_proj"});
  for (int i = 0; i < 20000; ++i) {
    std::string key(16, 'a');
    for (int bit = 0; bit < 15; ++bit) {
      if ((i >> bit & 1) != 0) key[bit] = '.';
    }
    config.lora->rank_pattern.emplace_back(key, 1);
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Match(config, Linears({"a.aaaaaaaaaaa.q_proj"})).status.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(TargetMatcherTest, LongListsOfRegexesAreRefused) {
  AdapterConfig config = Targets({"q_proj"});
  config.targets.modules_to_save.assign(1025, "a*");
  EXPECT_EQ(Match(config, Linears({"q_proj"})).status.code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(TargetMatcherTest, HostilePatternsEnd) {
  AdapterConfig config = Targets({"q_proj"});
  config.lora->rank_pattern = {{"(?:(?:[a-z.]|[a-z])*)*0", 1}};
  EXPECT_EQ(Match(config, Linears({"m." + std::string(200, 'a') + "0a.q_proj"}))
                .status.code(),
            absl::StatusCode::kResourceExhausted);
  config.lora->rank_pattern.clear();
  for (int i = 0; i < 1025; ++i) {
    config.lora->rank_pattern.emplace_back(absl::StrCat("x*", i), 1);
  }
  EXPECT_EQ(Match(config, Linears({"q_proj"})).status.code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace peft
