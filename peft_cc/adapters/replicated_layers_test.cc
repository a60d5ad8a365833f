#include "peft_cc/adapters/replicated_layers.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

struct Outcome {
  absl::Status status;
  LoadReport report;
};

Outcome Check(const LayerRanges& adapter, const LayerRanges& model) {
  TargetConfig config;
  config.layer_replication = adapter;
  Outcome outcome;
  outcome.status = CheckReplicatedLayers(
      config, SiteTable({}, {}, "llama", model), outcome.report);
  return outcome;
}

TEST(ReplicatedLayersTest, EqualRangesFit) {
  for (const LayerRanges& ranges : {LayerRanges(), {{0, 4}, {2, 5}}}) {
    const Outcome outcome = Check(ranges, ranges);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_TRUE(outcome.report.lines.empty());
  }
}

TEST(ReplicatedLayersTest, OtherRangesAreRefusedWithTheCure) {
  for (const LayerRanges& model : {LayerRanges(), {{0, 3}, {2, 5}}}) {
    const absl::Status status = Check({{0, 4}, {2, 5}}, model).status;
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorId(status), error_id::kLayerReplication);
    EXPECT_TRUE(absl::StrContains(status.message(),
                                  "layer_replication set to [[0, 4], [2, 5]]"));
    EXPECT_EQ(GetErrorDetails(status).found, "[[0, 4], [2, 5]]");
  }
}

TEST(ReplicatedLayersTest, AnAdapterWithoutRangesIsMatchedAndNoted) {
  const Outcome outcome = Check({}, {{0, 4}, {2, 5}});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  ASSERT_EQ(outcome.report.lines.size(), 1u);
  EXPECT_EQ(outcome.report.lines[0].name, "layer_replication");
}

}  // namespace
}  // namespace peft
