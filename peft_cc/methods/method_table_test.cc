#include "peft_cc/methods/method_table.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(MethodTableTest, EachMethodCanBeReadAndMade) {
  for (const MethodInfo& method : Methods()) {
    const auto config = ParseAdapterConfig(
        absl::StrCat(R"({"peft_type": ")", method.peft_type, "\"}"));
    ASSERT_TRUE(config.ok()) << config.status();
    std::vector<std::string> notes;
    EXPECT_TRUE(method.create(*config, "llama", {}, &notes).ok())
        << method.peft_type;
    EXPECT_EQ(FindMethod(method.peft_type), &method);
  }
}

TEST(MethodTableTest, OtherMethodsAreNotFound) {
  EXPECT_EQ(FindMethod("XLORA"), nullptr);
  EXPECT_EQ(FindMethod("lora"), nullptr);
}

}  // namespace
}  // namespace peft
