#include "peft_cc/config/layer_ranges.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::StatusOr<LayerRanges> Read(const std::string& value) {
  const auto json = ParseJson(absl::StrCat("{\"key\": ", value, "}"), "test");
  if (!json.ok()) return json.status();
  std::vector<std::string> notes;
  ConfigReader reader(*json, &notes);
  LayerRanges ranges;
  PEFT_RETURN_IF_ERROR(ReadLayerRanges(reader, "key", &ranges));
  return ranges;
}

TEST(LayerRangesTest, PairsAreRead) {
  const auto ranges = Read("[[0, 4], [2, 5]]");
  ASSERT_TRUE(ranges.ok()) << ranges.status();
  EXPECT_EQ(*ranges, (LayerRanges{{0, 4}, {2, 5}}));
  EXPECT_EQ(RangesText(*ranges), "[[0, 4], [2, 5]]");
}

TEST(LayerRangesTest, NullAndAnEmptyListAreNone) {
  EXPECT_EQ(*Read("null"), LayerRanges());
  EXPECT_EQ(*Read("[]"), LayerRanges());
}

TEST(LayerRangesTest, EqualLayersBecomeEqualRanges) {
  EXPECT_EQ(*Read("[[0, 2], [2, 4], [3, 3], [2, 5]]"),
            *Read("[[0, 4], [2, 3], [3, 5]]"));
  EXPECT_FALSE(*Read("[[0, 4], [2, 5]]") == *Read("[[0, 4], [3, 5]]"));
}

TEST(LayerRangesTest, AnythingElseIsRefusedByName) {
  for (const char* value :
       {"4", "{}", "\"all\"", "[4]", "[[0]]", "[[0, 1, 2]]", "[[0, \"1\"]]",
        "[[0.5, 1]]", "[[-1, 2]]", "[[3, 2]]", "[[0, 1], null]"}) {
    const absl::Status status = Read(value).status();
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig) << value;
    EXPECT_EQ(GetErrorDetails(status).tensor.rfind("key", 0), 0u) << status;
  }
}

}  // namespace
}  // namespace peft
