#include "peft_cc/config/method_keys.h"

#include <cstddef>

#include "gtest/gtest.h"

namespace peft {
namespace {

const ConfigKeys kTables[] = {BaseKeys(), LoraKeys(), AdaLoraKeys(), Ia3Keys()};

TEST(MethodKeysTest, AreSortedSoThatEachIsFound) {
  for (const ConfigKeys& keys : kTables) {
    for (const ConfigKey& key : keys) {
      EXPECT_EQ(FindConfigKey(keys, key.name), &key) << key.name;
    }
  }
}

// dataclasses.fields of the classes of peft 0.21.2.
TEST(MethodKeysTest, AreAsManyAsPeftHas) {
  EXPECT_EQ(BaseKeys().size() + LoraKeys().size(), 42u);
  EXPECT_EQ(BaseKeys().size() + Ia3Keys().size(), 13u);
  int own = 0;
  for (const ConfigKey& key : AdaLoraKeys()) {
    own += FindConfigKey(LoraKeys(), key.name) == nullptr;
  }
  EXPECT_EQ(own, 9);
}

TEST(MethodKeysTest, RefusedAndNotedKeysSayWhy) {
  for (const ConfigKeys& keys : kTables) {
    for (const ConfigKey& key : keys) {
      const bool silent =
          key.use == KeyUse::kRead || key.use == KeyUse::kTraining;
      EXPECT_EQ(key.meaning.empty(), silent) << key.name;
    }
  }
}

TEST(MethodKeysTest, OthersAreNotFound) {
  for (const char* name : {"", "R", "rr", "zzz", "enable_lora"}) {
    EXPECT_EQ(FindConfigKey(LoraKeys(), name), nullptr) << name;
  }
}

}  // namespace
}  // namespace peft
