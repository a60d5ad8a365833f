#include "peft_cc/adapters/fresh.h"

#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

class FreshTest : public ::testing::Test {
 protected:
  static AdapterConfig Parse(const std::string& text) {
    AdapterConfigOptions options;
    options.is_new = true;
    auto config = ParseAdapterConfig(text, options);
    EXPECT_TRUE(config.ok()) << config.status();
    return *config;
  }

  static AdapterConfig Config(const std::string& rest) {
    return Parse(absl::StrCat(R"({"peft_type": "LORA", "r": 2, )", rest, "}"));
  }

  TensorMap Make(const std::string& rest, uint64_t seed = 1) {
    auto fresh = MakeFreshAdapter(sites_, Config(rest), WithSeed(seed));
    EXPECT_TRUE(fresh.ok()) << fresh.status();
    return fresh->tensors;
  }

  static FreshOptions WithSeed(uint64_t seed) {
    FreshOptions options;
    options.seed = seed;
    return options;
  }

  // The error of a config that cannot be made.
  absl::Status Refused(const AdapterConfig& config) {
    return MakeFreshAdapter(sites_, config, {}).status();
  }

  const SiteTable sites_ = TinySites();
};

TEST_F(FreshTest, LoadsAsItIs) {
  const char* const configs[] = {
      R"("target_modules": ["q_proj", "o_proj"])",
      R"("target_modules": ["embed_tokens", "k_proj"])",
      R"("target_modules": ["q_proj"], "lora_bias": true)",
      R"("target_modules": ["q_proj"], "bias": "all")",
      R"("target_modules": ["q_proj", "o_proj"], "bias": "lora_only")",
      R"("target_modules": ["q_proj"], "rank_pattern": {"layers.1.*": 3})",
      R"("target_modules": ["q_proj"], "init_lora_weights": "orthogonal")",
      R"("target_modules": ["q_proj", "embed_tokens"], "use_dora": true)",
      R"("target_modules": ["q_proj"], "modules_to_save": ["k_proj"])",
      R"("target_modules": ["q_proj"], "trainable_token_indices": [3, 1])",
      R"("target_modules": "all-linear")",
  };
  for (const char* config : configs) {
    const auto loaded =
        BuildAdapter(sites_, "a", Config(config), Make(config), {});
    EXPECT_TRUE(loaded.ok()) << config << ": " << loaded.status();
  }
}

TEST_F(FreshTest, BIsZeroAndAIsDrawn) {
  for (const auto& [name, tensor] : Make(R"("target_modules": ["q_proj"])")) {
    const bool is_a = name.find("lora_A") != std::string::npos;
    if (is_a) {
      EXPECT_NE(tensor.ToF32()[0], 0.0f) << name;
    } else {
      EXPECT_THAT(tensor.ToF32(), Each(0.0f)) << name;
    }
  }
}

TEST_F(FreshTest, EqualSeedsDrawEqualNumbers) {
  const std::string config = R"("target_modules": ["q_proj"])";
  const std::string name = "model.layers.1.self_attn.q_proj.lora_A.weight";
  EXPECT_EQ(Make(config, 3).at(name).ToF32(), Make(config, 3).at(name).ToF32());
  EXPECT_NE(Make(config, 3).at(name).ToF32(), Make(config, 4).at(name).ToF32());
}

TEST_F(FreshTest, InitsThatNeedDataAreRefusedByName) {
  AdapterConfig config = Config(R"("target_modules": ["q_proj"])");
  config.json["init_lora_weights"] = "eva";
  const absl::Status status = Refused(config);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterFeatureUnsupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("eva"));
  config.json["init_lora_weights"] = 3;
  EXPECT_EQ(ErrorId(Refused(config)), error_id::kAdapterConfig);
}

TEST_F(FreshTest, DoraBeginsWithTheNormsOfTheWeight) {
  const std::string name = "model.layers.0.self_attn.q_proj";
  const TensorMap tensors =
      Make(R"("target_modules": ["q_proj"], "use_dora": true)");
  const std::vector<float> magnitude =
      tensors.at(name + ".lora_magnitude_vector").ToF32();
  const Site& site = sites_.sites()[sites_.Find(name)];
  const std::vector<float> weight = site.weight.ToF32();
  double square = 0;
  for (int64_t i = 0; i < site.in_features; ++i)
    square += weight[i] * weight[i];
  EXPECT_FLOAT_EQ(magnitude[0], static_cast<float>(std::sqrt(square)));
}

TEST_F(FreshTest, RowsOfTokensAreTheBasesInTheirOrder) {
  const TensorMap tensors = Make(
      R"("target_modules": ["q_proj"], "trainable_token_indices": [3, 1])");
  const std::vector<float> rows =
      tensors.at("model.embed_tokens.token_adapter.trainable_tokens_delta")
          .ToF32();
  const Site& site = sites_.sites()[sites_.Find("model.embed_tokens")];
  const std::vector<float> weight = site.weight.ToF32();
  const int64_t width = site.out_features;
  EXPECT_EQ(rows[0], weight[3 * width]);
  EXPECT_EQ(rows[width], weight[width]);
}

TEST_F(FreshTest, AdaLoraNeedsAScheduleThatLeavesSteps) {
  const std::string head =
      R"({"peft_type": "ADALORA", "target_modules": ["q_proj"])";
  for (const char* fields :
       {"", R"(, "total_step": 0)", R"(, "total_step": 9, "tinit": 9)",
        R"(, "total_step": 9, "tinit": 4, "tfinal": 5)",
        R"(, "total_step": 9, "orth_reg_weight": -1)"}) {
    EXPECT_EQ(ErrorId(Refused(Parse(absl::StrCat(head, fields, "}")))),
              error_id::kAdapterConfig)
        << fields;
  }
  EXPECT_TRUE(Refused(Parse(absl::StrCat(head, R"(, "total_step": 9})"))).ok());
}

TEST_F(FreshTest, Ia3BeginsWithOnes) {
  const auto fresh = MakeFreshAdapter(
      sites_, Parse(R"({"peft_type": "IA3", "target_modules": ["q_proj"],
                "feedforward_modules": []})"),
      {});
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  for (const auto& [name, tensor] : fresh->tensors) {
    EXPECT_THAT(tensor.ToF32(), Each(1.0f)) << name;
  }
}

TEST_F(FreshTest, WhatPissaNiterTakesFromTheBaseIsWhatItAdds) {
  const std::string config =
      R"("target_modules": ["q_proj"], "init_lora_weights": "pissa_niter_2")";
  auto fresh = MakeFreshAdapter(sites_, Config(config), {});
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  const auto loaded = BuildAdapter(sites_, "a", std::move(fresh->config),
                                   std::move(fresh->tensors), {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const SiteProgram& program = loaded->adapter->entries()[0].program;
  ASSERT_EQ(program.size(), 2u);
  const auto& taken = std::get<LowRank>(program[0]);
  const auto& added = std::get<LowRank>(program[1]);
  EXPECT_EQ(taken.scale, -added.scale);
  EXPECT_EQ(taken.a.ToF32(), added.a.ToF32());
  EXPECT_EQ(taken.b.ToF32(), added.b.ToF32());
  EXPECT_NE(added.b.ToF32()[0], 0.0f);
}

TEST_F(FreshTest, AHeadSharesTheFactorsOfItsEmbedding) {
  Site embedding;
  embedding.name = "embed_tokens";
  embedding.kind = SiteKind::kEmbedding;
  embedding.in_features = 10;
  embedding.out_features = 8;
  embedding.weight = MakeTensor({10, 8});
  Site head = embedding;
  head.name = "lm_head";
  head.kind = SiteKind::kLinear;
  std::swap(head.in_features, head.out_features);
  head.is_output_embedding = true;
  const SiteTable sites({embedding, head}, {embedding.name, head.name},
                        "llama");
  const auto fresh = MakeFreshAdapter(
      sites,
      Config(R"("target_modules": ["embed_tokens"], "ensure_weight_tying": true,
                "init_lora_weights": false)"),
      {});
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  const std::vector<float> b =
      fresh->tensors.at("embed_tokens.lora_embedding_B").ToF32();
  const std::vector<float> a =
      fresh->tensors.at("lm_head.lora_A.weight").ToF32();
  for (int64_t r = 0; r < 2; ++r) {
    for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(a[r * 8 + i], b[i * 2 + r]);
  }
}

}  // namespace
}  // namespace peft
