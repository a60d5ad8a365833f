#include "peft_cc/adapters/renamed_config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/json.h"

namespace peft {
namespace {

using ::testing::ElementsAre;

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";

// Loads an adapter of q_proj in the first layer into the tiny model, which has
// a head; its file names modules as the model without it does.
AdapterConfig ConfigHere(const std::string& fields) {
  const SiteTable sites = TinySites();
  TensorMap with_head, tensors;
  AddFactors(sites, kQ0, with_head);
  for (auto& [name, tensor] : with_head) {
    tensors["base_model.model." +
            name.substr(sizeof("base_model.model.model"))] = tensor;
  }
  const auto config = ParseAdapterConfig(
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, )" + fields + "}");
  EXPECT_TRUE(config.ok()) << config.status();
  const auto loaded = BuildAdapter(sites, "mine", *config, tensors, {});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->adapter->config() : AdapterConfig();
}

TEST(RenamedConfig, ARegexOfWholeNamesBecomesTheNames) {
  const AdapterConfig config =
      ConfigHere(R"("target_modules": "layers\\.0\\.self_attn\\.q_proj")");
  EXPECT_FALSE(config.targets.target_modules->is_regex);
  EXPECT_THAT(config.targets.target_modules->names, ElementsAre(kQ0));
}

TEST(RenamedConfig, WhatHitsTheSameModulesStays) {
  const AdapterConfig config =
      ConfigHere(R"("target_modules": ".*0\\.self_attn\\.q_proj")");
  EXPECT_EQ(config.targets.target_modules->regex, R"(.*0\.self_attn\.q_proj)");
  EXPECT_THAT(ConfigHere(R"("target_modules": ["layers.0.self_attn.q_proj"])")
                  .targets.target_modules->names,
              ElementsAre("layers.0.self_attn.q_proj"));
}

TEST(RenamedConfig, PatternsOfWholeNamesAreRenamed) {
  const AdapterConfig config = ConfigHere(
      R"("target_modules": ["layers.0.self_attn.q_proj"],
         "alpha_pattern": {"^layers.0.self_attn.q_proj": 8, "v_proj": 3})");
  const Json& pattern = config.json["alpha_pattern"];
  EXPECT_TRUE(pattern.contains("^model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(pattern.contains("v_proj"));
}

}  // namespace
}  // namespace peft
