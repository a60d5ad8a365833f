#include "peft_cc/adapters/fresh.h"

#include <string>
#include <utility>
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
  static AdapterConfig Config(const std::string& rest) {
    auto config = ParseAdapterConfig(
        absl::StrCat(R"({"peft_type": "LORA", "r": 2, )", rest, "}"));
    EXPECT_TRUE(config.ok()) << config.status();
    return *config;
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

}  // namespace
}  // namespace peft
