#include "peft_cc/adapters/inspect_json.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

using ::testing::HasSubstr;

AdapterSummary Inspect(const std::string& name) {
  return *InspectAdapter("peft_cc/adapters/testdata", name);
}

TEST(InspectJsonTest, HasTheFields) {
  const AdapterSummary summary = Inspect("plain");
  const AdapterFit fit = InspectAgainst(summary, TinySites());
  const Json json = SummaryToJson(summary, &fit);
  EXPECT_EQ(json["peft_type"], "LORA");
  EXPECT_EQ(json["task_type"], "CAUSAL_LM");
  EXPECT_EQ(json["runnable"], true);
  EXPECT_EQ(json["reason"], nullptr);
  EXPECT_EQ(json["rank"], 2);
  EXPECT_EQ(json["lora_alpha"], 6);
  EXPECT_EQ(json["target_modules"].size(), 2u);
  EXPECT_EQ(json["modules"][0]["rank"], 2);
  EXPECT_EQ(json["num_tensors"], 8);
  EXPECT_EQ(json["dtypes"]["F32"], 8);
  EXPECT_EQ(json["model"]["loads"], true);
  EXPECT_EQ(json["model"]["matched"].size(), 4u);
}

TEST(InspectJsonTest, CountsModulesByRank) {
  const Json ranks = SummaryToJson(Inspect("rslora_patterns"))["ranks"];
  ASSERT_EQ(ranks.size(), 3u);
  EXPECT_EQ(ranks[0]["rank"], 1);
  EXPECT_EQ(ranks[0]["num_modules"], 2);
  EXPECT_EQ(ranks[2]["rank"], 5);
  EXPECT_EQ(ranks[2]["num_modules"], 3);
}

TEST(InspectJsonTest, ShowsTheLayersThatAModelMustHave) {
  AdapterSummary summary = Inspect("plain");
  EXPECT_EQ(SummaryToJson(summary)["layer_replication"], nullptr);
  summary.config.json = *ParseJson(R"({"layer_replication": [[0, 2], [1, 2]]})",
                                   "adapter_config.json");
  const Json json = SummaryToJson(summary);
  EXPECT_EQ(json["layer_replication"].size(), 2u);
  EXPECT_EQ(json["layer_replication"][1][0], 1);
}

TEST(InspectJsonTest, OtherMethodsHaveAReason) {
  const Json json = SummaryToJson(Inspect("loha"));
  EXPECT_EQ(json["runnable"], false);
  EXPECT_EQ(json["reason_id"], "ADAPTER_METHOD_UNSUPPORTED");
  EXPECT_EQ(json["rank"], nullptr);
  EXPECT_FALSE(json.contains("model"));
}

TEST(InspectJsonTest, StaysUtf8WithAnyName) {
  AdapterSummary summary;
  summary.folder = "\xff";
  summary.modules.push_back({"\xc0mod", 0, 0});
  EXPECT_THAT(DumpJson(SummaryToJson(summary)), HasSubstr("xff"));
}

}  // namespace
}  // namespace peft
