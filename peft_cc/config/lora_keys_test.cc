#include "peft_cc/config/lora_keys.h"

#include <cstddef>

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(LoraKeysTest, AreSortedSoThatEachIsFound) {
  for (size_t i = 0; i < LoraKeys().size(); ++i) {
    const ConfigKey& key = LoraKeys()[i];
    EXPECT_EQ(FindConfigKey(LoraKeys(), key.name), &key) << key.name;
    if (i > 0) {
      EXPECT_LT(LoraKeys()[i - 1].name, key.name);
    }
  }
}

// dataclasses.fields(LoraConfig) of peft 0.21.2.
TEST(LoraKeysTest, AreAsManyAsPeftHas) { EXPECT_EQ(LoraKeys().size(), 42u); }

TEST(LoraKeysTest, RefusedAndNotedKeysSayWhy) {
  for (const ConfigKey& key : LoraKeys()) {
    const bool silent =
        key.use == KeyUse::kRead || key.use == KeyUse::kTraining;
    EXPECT_EQ(key.meaning.empty(), silent) << key.name;
  }
}

TEST(LoraKeysTest, OthersAreNotFound) {
  for (const char* name : {"", "R", "rr", "zzz", "enable_lora"}) {
    EXPECT_EQ(FindConfigKey(LoraKeys(), name), nullptr) << name;
  }
}

}  // namespace
}  // namespace peft
