#include "peft_cc/adapters/registry.h"

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

std::shared_ptr<const Adapter> MakeAdapter() {
  std::vector<Adapter::SiteEntry> entries;
  entries.push_back(
      {1, {LowRank{MakeTensor({1, 8}), MakeTensor({8, 1}), 1.0f}}});
  return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                   std::move(entries));
}

class RegistryTest : public ::testing::Test {
 protected:
  void Load(const std::string& name) {
    ASSERT_TRUE(registry_.Reserve(name).ok());
    ASSERT_TRUE(registry_.Add(name, MakeAdapter()).ok());
  }

  size_t NumActiveInPlan() const {
    return registry_.CurrentPlan()->activation().entries.size();
  }

  SiteTable sites_ = TinySites();
  AdapterRegistry registry_{&sites_};
};

TEST_F(RegistryTest, StartsWithTheBase) {
  EXPECT_TRUE(registry_.enabled());
  EXPECT_THAT(registry_.Names(), IsEmpty());
  EXPECT_THAT(registry_.Active(), IsEmpty());
  EXPECT_EQ(NumActiveInPlan(), 0u);
}

TEST_F(RegistryTest, LoadingMakesTheOnlyActiveOne) {
  Load("a");
  Load("b");
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "b"));
  EXPECT_THAT(registry_.Active(), ElementsAre("b"));
  EXPECT_EQ(NumActiveInPlan(), 1u);
}

TEST_F(RegistryTest, LoadingDoesNotEnable) {
  registry_.SetEnabled(false);
  Load("a");
  EXPECT_FALSE(registry_.enabled());
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
  EXPECT_EQ(NumActiveInPlan(), 0u);
  registry_.SetEnabled(true);
  EXPECT_EQ(NumActiveInPlan(), 1u);
}

TEST_F(RegistryTest, ANameIsTakenOnce) {
  ASSERT_TRUE(registry_.Reserve("a").ok());
  const absl::Status loading = registry_.Reserve("a");
  EXPECT_EQ(loading.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorId(loading), error_id::kAdapterExists);
  ASSERT_TRUE(registry_.Add("a", MakeAdapter()).ok());
  EXPECT_EQ(ErrorId(registry_.Reserve("a")), error_id::kAdapterExists);
}

TEST_F(RegistryTest, AReservationIsInvisibleAndCanBeCancelled) {
  ASSERT_TRUE(registry_.Reserve("a").ok());
  EXPECT_THAT(registry_.Names(), IsEmpty());
  EXPECT_EQ(ErrorId(registry_.SetActive(Names{"a"})),
            error_id::kAdapterNotFound);
  EXPECT_EQ(ErrorId(registry_.Delete(Names{"a"})), error_id::kAdapterNotFound);
  registry_.CancelReservation("a");
  EXPECT_TRUE(registry_.Reserve("a").ok());
}

TEST_F(RegistryTest, AFailedLoadLeavesEverythingAsItWas) {
  Load("a");
  const auto plan = registry_.CurrentPlan();
  ASSERT_TRUE(registry_.Reserve("b").ok());
  AdapterLoadOptions options;
  EXPECT_FALSE(LoadAdapter(sites_, "b", "absent", options).ok());
  registry_.CancelReservation("b");
  EXPECT_THAT(registry_.Names(), ElementsAre("a"));
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
  EXPECT_EQ(registry_.CurrentPlan(), plan);
}

TEST_F(RegistryTest, CancellingKeepsALoadedAdapter) {
  Load("a");
  registry_.CancelReservation("a");
  EXPECT_THAT(registry_.Names(), ElementsAre("a"));
}

TEST_F(RegistryTest, RefusesNamesThatMeanTheBase) {
  EXPECT_EQ(ErrorId(registry_.Reserve("")), error_id::kAdapterName);
  EXPECT_EQ(ErrorId(registry_.Reserve("__base__")), error_id::kAdapterName);
}

TEST_F(RegistryTest, SetActiveKeepsTheOrder) {
  Load("a");
  Load("b");
  ASSERT_TRUE(registry_.SetActive(Names{"b", "a"}).ok());
  EXPECT_THAT(registry_.Active(), ElementsAre("b", "a"));
  ASSERT_TRUE(registry_.SetActive(Names{}).ok());
  EXPECT_EQ(NumActiveInPlan(), 0u);
}

TEST_F(RegistryTest, SetActiveTakesScales) {
  Load("a");
  Load("b");
  ASSERT_TRUE(registry_.SetActive(Names{"a", "b"}, {0.5f, 2.0f}).ok());
  const auto plan = registry_.CurrentPlan();
  EXPECT_EQ(plan->activation().entries[0].scale, 0.5f);
  EXPECT_EQ(plan->linear(1).stages[0].low_rank[1].scale, 2.0f);
  ASSERT_TRUE(registry_.SetActive(Names{"a"}).ok());
  EXPECT_EQ(registry_.CurrentPlan()->activation().entries[0].scale, 1.0f);
}

TEST_F(RegistryTest, SetActiveRefusesBadScales) {
  Load("a");
  const auto plan = registry_.CurrentPlan();
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(ErrorId(registry_.SetActive(Names{"a"}, {inf})),
            error_id::kArgument);
  EXPECT_EQ(ErrorId(registry_.SetActive(Names{"a"}, {1, 1})),
            error_id::kArgument);
  EXPECT_EQ(registry_.CurrentPlan(), plan);
}

TEST_F(RegistryTest, SetActiveNamesUnknownAndKnownOnes) {
  Load("a");
  const auto plan = registry_.CurrentPlan();
  const absl::Status status = registry_.SetActive(Names{"a", "x", "y"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no adapter \"x\", \"y\"; loaded are: \"a\""));
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
}

TEST_F(RegistryTest, SetActiveRefusesANameTwice) {
  Load("a");
  EXPECT_EQ(ErrorId(registry_.SetActive(Names{"a", "a"})), error_id::kArgument);
}

TEST_F(RegistryTest, DisablingKeepsTheActiveNames) {
  Load("a");
  registry_.SetEnabled(false);
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
  EXPECT_EQ(NumActiveInPlan(), 0u);
  ASSERT_TRUE(registry_.SetActive(Names{"a"}).ok());
  EXPECT_FALSE(registry_.enabled());
}

TEST_F(RegistryTest, DeletingLeavesTheOtherActiveOnes) {
  Load("a");
  Load("b");
  Load("c");
  ASSERT_TRUE(registry_.SetActive(Names{"c", "a"}).ok());
  ASSERT_TRUE(registry_.Delete(Names{"c"}).ok());
  EXPECT_THAT(registry_.Active(), ElementsAre("a"));
  ASSERT_TRUE(registry_.Delete(Names{"a", "a"}).ok());
  EXPECT_THAT(registry_.Active(), IsEmpty());
  EXPECT_THAT(registry_.Names(), ElementsAre("b"));
  EXPECT_EQ(NumActiveInPlan(), 0u);
}

TEST_F(RegistryTest, DeletesAllOrNone) {
  Load("a");
  EXPECT_EQ(ErrorId(registry_.Delete(Names{"a", "x"})),
            error_id::kAdapterNotFound);
  EXPECT_THAT(registry_.Names(), ElementsAre("a"));
}

TEST_F(RegistryTest, APlanOutlivesItsAdapter) {
  Load("a");
  const auto plan = registry_.CurrentPlan();
  ASSERT_TRUE(registry_.Delete(Names{"a"}).ok());
  EXPECT_EQ(plan->linear(1).stages[0].low_rank.size(), 1u);
}

TEST_F(RegistryTest, GetFindsByName) {
  Load("a");
  EXPECT_TRUE(registry_.Get("a").ok());
  EXPECT_EQ(ErrorId(registry_.Get("b").status()), error_id::kAdapterNotFound);
}

// Readers must always see a whole plan while others load, switch and delete.
TEST_F(RegistryTest, PlansAreWholeWhileOthersChangeThem) {
  Load("always");
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto plan = registry_.CurrentPlan();
        const size_t active = plan->activation().entries.size();
        const auto& stages = plan->linear(1).stages;
        const size_t planned = stages.empty() ? 0 : stages[0].low_rank.size();
        if (planned != active) ++torn;
        registry_.Active();
        registry_.Names();
      }
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, name = std::string(1, 'x' + i)] {
      for (int round = 0; round < 200; ++round) {
        if (!registry_.Reserve(name).ok()) continue;
        if (!registry_.Add(name, MakeAdapter()).ok()) ++torn;
        if (!registry_.SetActive(Names{"always", name}).ok()) ++torn;
        registry_.SetEnabled(round % 2 == 0);
        if (!registry_.Delete(Names{name}).ok()) ++torn;
      }
    });
  }
  for (int i = 2; i < 4; ++i) threads[i].join();
  stop = true;
  for (int i = 0; i < 2; ++i) threads[i].join();
  EXPECT_EQ(torn, 0);
  EXPECT_THAT(registry_.Names(), ElementsAre("always"));
}

}  // namespace
}  // namespace peft
