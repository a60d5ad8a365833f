#include "peft_c/arguments.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

TEST(ClearOutTest, ZeroesAndRefusesNull) {
  int value = 7;
  EXPECT_TRUE(ClearOut("out", &value).ok());
  EXPECT_EQ(value, 0);
  const absl::Status status = ClearOut<int>("out", nullptr);
  EXPECT_EQ(ErrorId(status), error_id::kArgument);
  EXPECT_EQ(status.message(), "argument out is NULL");
}

TEST(TextArgumentTest, TakesUtf8) {
  EXPECT_EQ(*TextArgument("name", ""), "");
  EXPECT_EQ(*TextArgument("name",
                          "stra\xc3\x9f"
                          "e"),
            "stra\xc3\x9f"
            "e");
}

TEST(TextArgumentTest, RefusesNullAndOtherBytes) {
  EXPECT_EQ(ErrorId(TextArgument("name", nullptr).status()), error_id::kUtf8);
  const absl::Status status = TextArgument("name", "a\xff").status();
  EXPECT_EQ(ErrorId(status), error_id::kUtf8);
  EXPECT_EQ(GetErrorDetails(status).tensor, "name");
  EXPECT_EQ(status.message(),
            "argument name is not UTF-8 from byte 1 on: \"a\\xff\"");
}

TEST(OptionalTextTest, TakesTheFallbackForNullOnly) {
  EXPECT_EQ(*OptionalText("name", nullptr, "default"), "default");
  EXPECT_EQ(*OptionalText("name", "", "default"), "");
  EXPECT_FALSE(OptionalText("name", "\xff", "default").ok());
}

TEST(TextArrayTest, NamesTheTextThatIsWrong) {
  const char* const texts[] = {"a", "b", nullptr};
  EXPECT_EQ(*TextArray("names", texts, 2),
            std::vector<std::string>({"a", "b"}));
  EXPECT_EQ(GetErrorDetails(TextArray("names", texts, 3).status()).tensor,
            "names[2]");
}

TEST(FlagArgumentTest, TakesZeroAndOne) {
  EXPECT_FALSE(*FlagArgument("flag", 0));
  EXPECT_TRUE(*FlagArgument("flag", 1));
  for (const int32_t value : {-1, 2}) {
    EXPECT_EQ(ErrorId(FlagArgument("flag", value).status()),
              error_id::kArgument);
  }
}

TEST(ArrayArgumentTest, CountZeroIsEmptyWhateverThePointer) {
  const int* const garbage = reinterpret_cast<const int*>(uintptr_t{8});
  EXPECT_TRUE(ArrayArgument("array", garbage, 0)->empty());
  EXPECT_EQ(ArrayArgument("array", garbage, 0)->data(), nullptr);
}

TEST(ArrayArgumentTest, RefusesNullAndTooMany) {
  const int value = 1;
  EXPECT_EQ(ArrayArgument("array", &value, 1)->size(), 1u);
  EXPECT_FALSE(ArrayArgument<int>("array", nullptr, 1).ok());
  EXPECT_FALSE(ArrayArgument("array", &value, kMaxCount + 1).ok());
}

}  // namespace
}  // namespace peft
