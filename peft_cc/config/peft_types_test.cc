#include "peft_cc/config/peft_types.h"

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(PeftTypesTest, KnowsMethodsInTheirSpelling) {
  for (const char* name : {"LORA", "IA3", "P_TUNING", "XLORA", "ADALORA"}) {
    EXPECT_TRUE(IsPeftType(name)) << name;
  }
  for (const char* name : {"", "lora", "BONE", "LORA ", "DORA"}) {
    EXPECT_FALSE(IsPeftType(name)) << name;
  }
}

TEST(PeftTypesTest, KnowsTasks) {
  EXPECT_TRUE(IsTaskType("SEQ_2_SEQ_LM"));
  EXPECT_FALSE(IsTaskType("causal_lm"));
}

TEST(PeftTypesTest, ComparesVersionsByTheirNumbers) {
  for (const char* version :
       {"0.21.3", "0.22.0.dev0@abc", "0.100.0", "1.0", "0.21.2.1"}) {
    EXPECT_TRUE(IsNewerThanKnown(version)) << version;
  }
  for (const char* version :
       {"0.21.2", "0.21.2.dev0", "0.9.9", "0.21", "", "new", "-1.0"}) {
    EXPECT_FALSE(IsNewerThanKnown(version)) << version;
  }
}

}  // namespace
}  // namespace peft
