#include "peft_c/text.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

TEST(StringTest, GivesTextAndSizeWithNulBytesCounted) {
  peft_string_t* handle = nullptr;
  const std::string text("a\0b", 3);
  ASSERT_TRUE(
      NewHandle(std::make_shared<const std::string>(text), &handle).ok());
  const OwnedString string(handle);
  EXPECT_EQ(peft_string_size(handle), 3u);
  EXPECT_EQ(std::string(peft_string_data(handle), 4), std::string("a\0b\0", 4));
}

TEST(StringListTest, GivesEachNameAndNullBeyond) {
  peft_string_list_t* handle = nullptr;
  const std::vector<std::string> names = {"a", ""};
  ASSERT_TRUE(NewHandle(std::make_shared<const std::vector<std::string>>(names),
                        &handle)
                  .ok());
  const OwnedNames list(handle);
  EXPECT_EQ(peft_string_list_size(handle), 2u);
  EXPECT_STREQ(peft_string_list_get(handle, 0), "a");
  EXPECT_STREQ(peft_string_list_get(handle, 1), "");
  EXPECT_EQ(peft_string_list_get(handle, 2), nullptr);
  EXPECT_EQ(peft_string_list_get(handle, ~size_t{0}), nullptr);
}

}  // namespace
}  // namespace peft
