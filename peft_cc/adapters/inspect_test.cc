#include "peft_cc/adapters/inspect.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

AdapterSummary Inspect(const std::string& name) {
  return *InspectAdapter("peft_cc/adapters/testdata", name);
}

TEST(InspectTest, LoraCanRun) {
  const AdapterSummary summary = Inspect("rslora_patterns");
  EXPECT_TRUE(summary.runnable) << summary.reason;
  EXPECT_EQ(summary.reason, "");
  EXPECT_EQ(summary.config.base.peft_type, "LORA");
  EXPECT_THAT(summary.tensors, SizeIs(28));
  EXPECT_THAT(summary.modules, SizeIs(14));
  EXPECT_EQ(summary.modules[0].name, "model.layers.0.mlp.down_proj");
  EXPECT_EQ(summary.modules[0].rank, 3);
  EXPECT_EQ(summary.modules[0].num_parameters, 3 * (12 + 8));
}

TEST(InspectTest, CountsTensorsOfAnyDType) {
  const AdapterSummary summary = Inspect("bias_lora_only");
  EXPECT_EQ(summary.dtypes.at("BF16"), 10);
  EXPECT_EQ(summary.size_bytes, 2 * summary.num_parameters);
}

TEST(InspectTest, OtherMethodsSayWhyTheyCannotRun) {
  const AdapterSummary summary = Inspect("loha");
  EXPECT_FALSE(summary.runnable);
  EXPECT_EQ(summary.reason_id, error_id::kAdapterMethodUnsupported);
  EXPECT_THAT(summary.reason, HasSubstr("LOHA"));
  EXPECT_THAT(summary.modules, SizeIs(2));
  EXPECT_EQ(summary.modules[0].name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(summary.modules[0].rank, 0);
}

TEST(InspectTest, PromptsHaveNoModules) {
  const AdapterSummary summary = Inspect("prompt_tuning");
  EXPECT_FALSE(summary.runnable);
  EXPECT_THAT(summary.modules, IsEmpty());
  EXPECT_EQ(summary.num_parameters, 16);
}

TEST(InspectTest, FailsWhereNothingCanBeRead) {
  EXPECT_EQ(ErrorId(InspectAdapter("absent", "").status()),
            error_id::kFileNotFound);
}

TEST(InspectAgainstTest, FitsItsModel) {
  const AdapterFit fit = InspectAgainst(Inspect("bare"), TinySites());
  EXPECT_TRUE(fit.loads) << fit.reason;
  EXPECT_THAT(fit.matched, SizeIs(4));
  EXPECT_THAT(fit.unmatched, IsEmpty());
}

TEST(InspectAgainstTest, OtherMethodsMatchToo) {
  const AdapterFit fit = InspectAgainst(Inspect("loha"), TinySites());
  EXPECT_FALSE(fit.loads);
  EXPECT_EQ(fit.reason_id, error_id::kAdapterMethodUnsupported);
  EXPECT_THAT(fit.matched, SizeIs(2));
}

TEST(InspectAgainstTest, NamesWhatTheModelLacks) {
  Site site;
  site.name = "model.layers.0.self_attn.q_proj";
  site.in_features = site.out_features = 8;
  const SiteTable small({site}, {site.name}, "qwen2");
  const AdapterFit fit = InspectAgainst(Inspect("plain"), small);
  EXPECT_FALSE(fit.loads);
  EXPECT_EQ(fit.reason_id, error_id::kTensorUnexpected);
  EXPECT_THAT(fit.matched, ElementsAre("model.layers.0.self_attn.q_proj"));
  EXPECT_THAT(fit.unmatched, SizeIs(3));
}

}  // namespace
}  // namespace peft
