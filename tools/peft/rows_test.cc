#include "tools/peft/rows.h"

#include <cstdint>
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

TEST(RepeatTokensTest, RepeatsAllThatARowHas) {
  TokenBatch tokens;
  tokens.batch = 1;
  tokens.length = 2;
  tokens.ids = {5, 6};
  tokens.attention_mask = {0, 1};
  tokens.position_ids = {0, 1};
  tokens.token_type_ids = {1, 0};
  RepeatTokens(2, &tokens);
  EXPECT_EQ(tokens.batch, 2);
  EXPECT_EQ(tokens.ids, (std::vector<int64_t>{5, 6, 5, 6}));
  EXPECT_EQ(tokens.attention_mask, (std::vector<int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(tokens.position_ids, (std::vector<int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(tokens.token_type_ids, (std::vector<int64_t>{1, 0, 1, 0}));
}

TEST(RepeatTokensTest, LeavesSeveralRowsAlone) {
  TokenBatch tokens;
  tokens.batch = 2;
  tokens.length = 1;
  tokens.ids = {5, 6};
  RepeatTokens(2, &tokens);
  EXPECT_EQ(tokens.batch, 2);
  EXPECT_EQ(tokens.ids, (std::vector<int64_t>{5, 6}));
}

}  // namespace
}  // namespace peft_tool
