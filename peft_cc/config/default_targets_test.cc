#include "peft_cc/config/default_targets.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

TEST(DefaultTargetsTest, ListsNamesPerModelType) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gemma2"}) {
    EXPECT_EQ(DefaultTargets("LORA", type)->names,
              (Strings{"q_proj", "v_proj"}));
  }
  EXPECT_EQ(DefaultTargets("LORA", "gpt2")->names, (Strings{"c_attn"}));
  EXPECT_EQ(DefaultTargets("LORA", "rwkv")->names,
            (Strings{"key", "value", "receptance", "output"}));
}

TEST(DefaultTargetsTest, Gemma4HasARegex) {
  EXPECT_TRUE(DefaultTargets("LORA", "gemma4")->is_regex);
  EXPECT_FALSE(DefaultTargets("LORA", "gemma")->is_regex);
}

TEST(DefaultTargetsTest, MethodsHaveTheirOwn) {
  EXPECT_EQ(DefaultTargets("IA3", "qwen2")->names,
            (Strings{"q_proj", "v_proj", "down_proj"}));
  EXPECT_EQ(DefaultTargets("ADALORA", "opt")->names.size(), 6u);
  EXPECT_FALSE(DefaultTargets("ADALORA", "mistral").has_value());
  EXPECT_FALSE(DefaultTargets("XLORA", "llama").has_value());
}

TEST(DefaultTargetsTest, FeedforwardMayBeNone) {
  EXPECT_EQ(DefaultFeedforward("llama")->names, (Strings{"down_proj"}));
  EXPECT_TRUE(DefaultFeedforward("mt5")->names.empty());
  EXPECT_FALSE(DefaultFeedforward("phi3").has_value());
}

TEST(DefaultTargetsTest, OtherTypesHaveNone) {
  for (const char* type : {"", "phi3", "qwen3_moe", "Llama"}) {
    EXPECT_FALSE(DefaultTargets("LORA", type).has_value()) << type;
  }
}

}  // namespace
}  // namespace peft
