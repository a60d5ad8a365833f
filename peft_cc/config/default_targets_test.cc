#include "peft_cc/config/default_targets.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

TEST(DefaultTargetsTest, ListsNamesPerModelType) {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gemma2"}) {
    EXPECT_EQ(DefaultLoraTargets(type)->names, (Strings{"q_proj", "v_proj"}));
  }
  EXPECT_EQ(DefaultLoraTargets("gpt2")->names, (Strings{"c_attn"}));
  EXPECT_EQ(DefaultLoraTargets("rwkv")->names,
            (Strings{"key", "value", "receptance", "output"}));
}

TEST(DefaultTargetsTest, Gemma4HasARegex) {
  EXPECT_TRUE(DefaultLoraTargets("gemma4")->is_regex);
  EXPECT_FALSE(DefaultLoraTargets("gemma")->is_regex);
}

TEST(DefaultTargetsTest, OtherTypesHaveNone) {
  for (const char* type : {"", "phi3", "qwen3_moe", "Llama"}) {
    EXPECT_FALSE(DefaultLoraTargets(type).has_value()) << type;
  }
}

}  // namespace
}  // namespace peft
