#include "tools/peft/rows.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft_tool {
namespace {

std::vector<RowAdapter> Parse(const std::string& text) {
  std::vector<RowAdapter> adapters;
  EXPECT_TRUE(ParseRow(text, &adapters)) << text;
  return adapters;
}

TEST(ParseRowTest, TakesNamesWithAndWithoutScales) {
  const auto adapters = Parse("german*0.5+french+x*-2");
  ASSERT_EQ(adapters.size(), 3u);
  EXPECT_EQ(adapters[0].name, "german");
  EXPECT_EQ(adapters[0].scale, 0.5f);
  EXPECT_EQ(adapters[1].name, "french");
  EXPECT_EQ(adapters[1].scale, 1.0f);
  EXPECT_EQ(adapters[2].scale, -2.0f);
}

TEST(ParseRowTest, TheBaseHasNoAdapters) {
  EXPECT_TRUE(Parse("__base__").empty());
}

TEST(ParseRowTest, RefusesWhatIsNoRow) {
  std::vector<RowAdapter> adapters;
  for (const char* text : {"", "+", "a+", "+a", "*1", "a*", "a*x", "a*inf"}) {
    EXPECT_FALSE(ParseRow(text, &adapters)) << text;
  }
}

}  // namespace
}  // namespace peft_tool
