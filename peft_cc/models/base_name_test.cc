#include "peft_cc/models/base_name.h"

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(MayBeBaseTest, TheSameNameOrPathIsTheBase) {
  EXPECT_TRUE(MayBeBase("/models/llama", "/models/llama/", ""));
  EXPECT_TRUE(MayBeBase("meta/Llama-1", "base", "meta/Llama-1"));
}

TEST(MayBeBaseTest, AHubIdIsTheBaseInAFolderOfThatName) {
  EXPECT_TRUE(MayBeBase("meta/Llama-1", "/models/Llama-1", ""));
  EXPECT_TRUE(MayBeBase("/home/me/Llama-1/", "Llama-1", ""));
  EXPECT_TRUE(MayBeBase("meta/Llama-1",
                        "/hub/models--meta--Llama-1/snapshots/0123", ""));
}

TEST(MayBeBaseTest, NoNameIsAnyBase) {
  EXPECT_TRUE(MayBeBase("", "/models/llama", "llama"));
}

TEST(MayBeBaseTest, AnotherNameIsAnotherBase) {
  EXPECT_FALSE(MayBeBase("meta/Llama-1", "/models/Llama-2", "meta/Llama-2"));
  EXPECT_FALSE(MayBeBase("meta/Llama-1",
                         "/hub/models--meta--Llama-10/snapshots/0123", ""));
  EXPECT_FALSE(MayBeBase("Llama", "/models/llama", ""));
}

}  // namespace
}  // namespace peft
