#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

constexpr int kSite = 1;

std::shared_ptr<const Adapter> MakeAdapter(Form form,
                                           const std::string& method = "LORA") {
  AdapterConfig config;
  config.base.peft_type = method;
  std::vector<Adapter::SiteEntry> entries;
  entries.push_back({kSite, {std::move(form)}});
  return std::make_shared<Adapter>(std::move(config), TensorMap(),
                                   std::move(entries));
}

// Adds 0.5 * value to every weight.
Form Adds(float value) {
  return LowRank{MakeTensor({1, 8}, std::vector<float>(8, 0.5f)),
                 MakeTensor({8, 1}, std::vector<float>(8, value)), 1.0f};
}

class RegistryMergeTest : public ::testing::Test {
 protected:
  void Load(const std::string& name, Form form,
            const std::string& method = "LORA") {
    ASSERT_TRUE(registry_.Reserve(name).ok());
    ASSERT_TRUE(registry_.Add(name, MakeAdapter(std::move(form), method)).ok());
  }

  absl::StatusOr<Names> Merge(const Names& names = {},
                              const std::vector<float>& scales = {}) {
    return registry_.Merge(names, scales, {}, kernels::InlineThreadPool());
  }

  // The first weight that forwards use, beyond the base's.
  float Added() const {
    const auto* const weight = static_cast<const float*>(Linear().weight.data);
    return weight[0] - sites_.sites()[kSite].weight.ToF32()[0];
  }
  size_t NumTerms() const {
    const kernels::LinearPlan linear = Linear();
    return linear.stages.empty() ? 0 : linear.stages[0].low_rank.size();
  }
  kernels::LinearPlan Linear() const {
    return registry_.CurrentPlan()->linear(kSite);
  }
  bool RunsTheBase() const {
    return NumTerms() == 0 &&
           Linear().weight.data == sites_.sites()[kSite].weight.data();
  }

  SiteTable sites_ = TinySites();
  AdapterRegistry registry_{&sites_};
};

TEST_F(RegistryMergeTest, MergesTheActiveOnesOnce) {
  Load("a", Adds(4));
  EXPECT_THAT(*Merge(), ElementsAre("a"));
  EXPECT_THAT(registry_.MergedNames(), ElementsAre("a"));
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
  EXPECT_NEAR(Added(), 2, 1e-6);
  EXPECT_EQ(NumTerms(), 0u);
}

TEST_F(RegistryMergeTest, MergingAgainChangesNothing) {
  Load("a", Adds(4));
  ASSERT_TRUE(Merge().ok());
  const std::shared_ptr<const Plan> plan = registry_.CurrentPlan();
  EXPECT_THAT(*Merge(), IsEmpty());
  EXPECT_THAT(*Merge({"a"}), IsEmpty());
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  EXPECT_EQ(ErrorId(Merge({"a"}, {2.0f}).status()), "MERGED");
}

TEST_F(RegistryMergeTest, OthersActOnTop) {
  Load("a", Adds(4));
  Load("b", Adds(8));
  ASSERT_TRUE(registry_.SetActive({"a", "b"}).ok());
  ASSERT_TRUE(Merge({"a"}).ok());
  EXPECT_NEAR(Added(), 2, 1e-6);
  EXPECT_EQ(NumTerms(), 1u);
  EXPECT_THAT(*Merge({"b"}), ElementsAre("b"));
  EXPECT_NEAR(Added(), 6, 1e-6);
  EXPECT_EQ(NumTerms(), 0u);
  EXPECT_THAT(registry_.MergedNames(), ElementsAre("a", "b"));
}

// As it does while it acts on top, though it was loaded first.
TEST_F(RegistryMergeTest, WhatIsMergedLaterGoesAroundWhatWasThere) {
  Load("ia3", ScaleOut{std::vector<float>(8, 3.0f), /*with_bias=*/false},
       "IA3");
  Load("a", Adds(4));
  ASSERT_TRUE(registry_.SetActive({"ia3", "a"}).ok());
  ASSERT_TRUE(Merge({"a"}).ok());
  const float base = sites_.sites()[kSite].weight.ToF32()[0];
  const std::shared_ptr<const Plan> plan = *registry_.PlanForMerge({}, {});
  const auto written =
      *MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  EXPECT_NEAR(written->sites.at(kSite).weight.ToF32()[0], 3 * (base + 2), 1e-5);
  ASSERT_TRUE(Merge({"ia3"}).ok());
  EXPECT_NEAR(base + Added(), 3 * (base + 2), 1e-5);
}

TEST_F(RegistryMergeTest, ScalesAreThoseOfTheActivationOrTheCallers) {
  Load("a", Adds(4));
  ASSERT_TRUE(registry_.SetActive({"a"}, {0.5f}).ok());
  ASSERT_TRUE(Merge().ok());
  EXPECT_NEAR(Added(), 1, 1e-6);
  ASSERT_TRUE(registry_.Unmerge());
  ASSERT_TRUE(Merge({"a"}, {3.0f}).ok());
  EXPECT_NEAR(Added(), 6, 1e-6);
  ASSERT_TRUE(registry_.Unmerge());
  ASSERT_TRUE(registry_.SetScale("a", 2.0f).ok());
  ASSERT_TRUE(Merge({"a"}, {3.0f}).ok());
  EXPECT_NEAR(Added(), 12, 1e-6);
}

TEST_F(RegistryMergeTest, UnmergingGivesTheWeightsBack) {
  Load("a", Adds(4));
  EXPECT_FALSE(registry_.Unmerge());
  ASSERT_TRUE(Merge().ok());
  std::weak_ptr<const Plan> merged = registry_.CurrentPlan();
  EXPECT_TRUE(registry_.Unmerge());
  EXPECT_EQ(Linear().weight.data, sites_.sites()[kSite].weight.data());
  EXPECT_EQ(NumTerms(), 1u);
  EXPECT_THAT(registry_.MergedNames(), IsEmpty());
  // Their memory is free.
  EXPECT_TRUE(merged.expired());
}

TEST_F(RegistryMergeTest, ActivatingUnmerges) {
  Load("a", Adds(4));
  ASSERT_TRUE(Merge().ok());
  ASSERT_TRUE(registry_.SetActive({"a"}).ok());
  EXPECT_THAT(registry_.MergedNames(), IsEmpty());
  EXPECT_EQ(NumTerms(), 1u);
  ASSERT_TRUE(Merge().ok());
  Load("b", Adds(8));
  EXPECT_THAT(registry_.MergedNames(), IsEmpty());
  EXPECT_EQ(Added(), 0);
}

TEST_F(RegistryMergeTest, DisabledIsTheBaseAndEnabledIsMergedAgain) {
  Load("a", Adds(4));
  ASSERT_TRUE(Merge().ok());
  registry_.SetEnabled(false);
  EXPECT_TRUE(RunsTheBase());
  EXPECT_THAT(registry_.MergedNames(), ElementsAre("a"));
  registry_.SetEnabled(true);
  EXPECT_NEAR(Added(), 2, 1e-6);
}

TEST_F(RegistryMergeTest, MergesWhileDisabled) {
  Load("a", Adds(4));
  registry_.SetEnabled(false);
  ASSERT_TRUE(Merge().ok());
  EXPECT_TRUE(RunsTheBase());
  registry_.SetEnabled(true);
  EXPECT_NEAR(Added(), 2, 1e-6);
}

TEST_F(RegistryMergeTest, MergedAdaptersCannotChange) {
  Load("a", Adds(4));
  ASSERT_TRUE(Merge().ok());
  EXPECT_EQ(ErrorId(registry_.Delete({"a"})), "MERGED");
  EXPECT_EQ(ErrorId(registry_.SetScale("a", 2)), "MERGED");
  EXPECT_EQ(ErrorId(registry_.Replace("a", MakeAdapter(Adds(1)))), "MERGED");
  EXPECT_EQ(ErrorId(registry_.PlansOfRows({"a"}).status()), "MERGED");
  EXPECT_THAT(registry_.Names(), ElementsAre("a"));
  ASSERT_TRUE(registry_.Rename("a", "c").ok());
  EXPECT_THAT(registry_.MergedNames(), ElementsAre("c"));
  registry_.SetEnabled(false);
  EXPECT_TRUE(registry_.PlansOfRows({"c"}).ok());
  ASSERT_TRUE(registry_.Unmerge());
  EXPECT_TRUE(registry_.Delete({"c"}).ok());
}

TEST_F(RegistryMergeTest, NothingToMergeIsAnError) {
  EXPECT_EQ(Merge().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Merge({"a"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RegistryMergeTest, AReplacementCannotActOnTopOfMergedWeights) {
  Load("a", Adds(4));
  Load("r", Replace{MakeTensor({8, 8}), MakeTensor({8})});
  ASSERT_TRUE(registry_.SetActive({"a", "r"}).ok());
  EXPECT_EQ(ErrorId(Merge({"a"}).status()), "ADAPTER_CONFLICT");
  EXPECT_THAT(registry_.MergedNames(), IsEmpty());
  EXPECT_TRUE(Merge({"a", "r"}).ok());
}

// IA3 has scaled the bias that the other one has trained a change of.
TEST_F(RegistryMergeTest, ATrainedBiasCannotActOnTopOfAScaledOne) {
  Load("ia3", ScaleOut{std::vector<float>(8, 2.0f), /*with_bias=*/true});
  Load("b", Bias{std::vector<float>(8, 1.0f), /*of_base=*/true});
  EXPECT_EQ(ErrorId(Merge({"ia3"}).status()), error_id::kAdapterConflict);
  EXPECT_TRUE(RunsTheBase());
  ASSERT_TRUE(Merge({"ia3", "b"}).ok());
}

TEST_F(RegistryMergeTest, PlanForMergeIsOnTheBase) {
  Load("a", Adds(4));
  Load("b", Adds(8));
  ASSERT_TRUE(Merge({"a"}).ok());
  const auto all = *registry_.PlanForMerge({}, {});
  EXPECT_EQ(all->overlay(), nullptr);
  EXPECT_EQ(all->activation().entries.size(), 2u);
  const auto one = *registry_.PlanForMerge({"b"}, {0.5f});
  ASSERT_EQ(one->activation().entries.size(), 1u);
  EXPECT_EQ(one->activation().entries[0].scale, 0.5f);
}

TEST_F(RegistryMergeTest, MergesWhileOtherThreadsSwitch) {
  Load("a", Adds(4));
  Load("b", Adds(8));
  std::thread switcher([&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(registry_.SetActive({i % 2 == 0 ? "a" : "b"}).ok());
    }
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(Merge().ok());
    registry_.Unmerge();
  }
  switcher.join();
  ASSERT_TRUE(registry_.SetActive({"a"}).ok());
  EXPECT_EQ(NumTerms(), 1u);
  EXPECT_EQ(Added(), 0);
}

}  // namespace
}  // namespace peft
