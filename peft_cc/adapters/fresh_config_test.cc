#include "peft_cc/adapters/fresh_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

using ::testing::ElementsAre;

Json Filled(const SiteTable& sites, const std::string& text,
            const std::string& base_name = "") {
  const auto config = ParseAdapterConfig(text);
  EXPECT_TRUE(config.ok()) << config.status();
  const auto filled = FreshConfig(*config, sites, base_name);
  EXPECT_TRUE(filled.ok()) << filled.status();
  return filled->json;
}

TEST(FreshConfigTest, EveryFieldHasAValue) {
  const Json json = Filled(TinySites(), R"({"peft_type": "LORA", "r": 3,
      "target_modules": ["q_proj"]})");
  EXPECT_EQ(json["r"].get<int>(), 3);
  EXPECT_EQ(json["lora_alpha"].get<int>(), 8);
  EXPECT_TRUE(json["rank_pattern"].is_object());
  EXPECT_TRUE(json["base_model_name_or_path"].is_null());
  EXPECT_EQ(json["peft_version"].get<std::string>(), "0.21.2");
}

TEST(FreshConfigTest, AdaLorasOwnDefaultsWin) {
  const Json json = Filled(TinySites(), R"({"peft_type": "ADALORA",
      "total_step": 10, "target_modules": ["q_proj"]})");
  EXPECT_TRUE(json["rank_pattern"].is_null());
  EXPECT_EQ(json["init_r"].get<int>(), 12);
  EXPECT_FALSE(json["use_dora"].get<bool>());
}

TEST(FreshConfigTest, KnowsTheBaseAndKeepsKeysThatNobodyKnows) {
  const Json json = Filled(TinySites(), R"({"peft_type": "IA3", "extra": null,
      "target_modules": ["q_proj"], "feedforward_modules": []})",
                           "a/base");
  EXPECT_EQ(json["base_model_name_or_path"].get<std::string>(), "a/base");
  EXPECT_TRUE(json.contains("extra"));
}

TEST(FreshConfigTest, HeadsOfTheTaskAreListed) {
  const Json json = Filled(TinySites(), R"({"peft_type": "LORA",
      "task_type": "SEQ_CLS", "target_modules": ["q_proj"]})");
  EXPECT_THAT(json["modules_to_save"].get<std::vector<std::string>>(),
              ElementsAre("classifier", "score"));
}

TEST(FreshConfigTest, AllLinearIsWrittenOut) {
  const Json json = Filled(
      TinySites(), R"({"peft_type": "LORA", "target_modules": "all-linear"})");
  ASSERT_TRUE(json["target_modules"].is_array());
  EXPECT_FALSE(json["target_modules"].empty());
}

// A table with an embedding and the head that is tied to it.
SiteTable TiedSites(const std::string& embedding_name) {
  Site embedding;
  embedding.name = embedding_name;
  embedding.kind = SiteKind::kEmbedding;
  embedding.in_features = 10;
  embedding.out_features = 8;
  embedding.weight = MakeTensor({10, 8});
  Site head = embedding;
  head.name = "lm_head";
  head.kind = SiteKind::kLinear;
  std::swap(head.in_features, head.out_features);
  head.is_output_embedding = true;
  return SiteTable({embedding, head}, {embedding.name, head.name}, "llama");
}

std::vector<std::string> TiedTargets(const std::string& embedding_name) {
  const Json json = Filled(TiedSites(embedding_name), R"({"peft_type": "LORA",
      "ensure_weight_tying": true, "target_modules": ["lm_head"]})");
  return json["target_modules"].get<std::vector<std::string>>();
}

TEST(FreshConfigTest, TheEmbeddingStandsForItsHead) {
  EXPECT_THAT(TiedTargets("model.embed_tokens"),
              ElementsAre("model.embed_tokens"));
}

TEST(FreshConfigTest, AHeadThatPeftWouldLoseStays) {
  EXPECT_THAT(TiedTargets("transformer.wte"),
              ElementsAre("lm_head", "transformer.wte"));
}

TEST(FreshConfigTest, ARegexGetsTheEmbeddingAsAnAlternative) {
  const Json json =
      Filled(TiedSites("model.embed_tokens"), R"({"peft_type": "LORA",
      "ensure_weight_tying": true, "target_modules": ".*lm_head"})");
  EXPECT_EQ(json["target_modules"].get<std::string>(),
            R"((?:.*lm_head|^model\.embed_tokens$))");
}

TEST(FreshConfigTest, TheLastLayerDecidesAboutFanInFanOut) {
  Site linear;
  linear.name = "a";
  Site conv1d;
  conv1d.name = "b";
  conv1d.kind = SiteKind::kConv1D;
  const SiteTable sites({linear, conv1d}, {"a", "b"}, "");
  auto config = ParseAdapterConfig(R"({"peft_type": "LORA"})");
  ASSERT_TRUE(config.ok()) << config.status();
  CorrectFanInFanOut(sites, {{0, "a", "a"}, {1, "b", "b"}}, *config);
  EXPECT_TRUE(config->json["fan_in_fan_out"].get<bool>());
  CorrectFanInFanOut(sites, {{0, "a", "a"}}, *config);
  EXPECT_FALSE(config->json["fan_in_fan_out"].get<bool>());
}

}  // namespace
}  // namespace peft
