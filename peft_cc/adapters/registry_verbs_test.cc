// What changes an adapter that is loaded, limits, and plans of one's own.
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/registry.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Names = std::vector<std::string>;

// 64 bytes of one site.
constexpr int64_t kBytes = 64;

std::shared_ptr<const Adapter> MakeAdapter() {
  std::vector<Adapter::SiteEntry> entries;
  entries.push_back(
      {1, {LowRank{MakeTensor({1, 8}), MakeTensor({8, 1}), 1.0f}}});
  return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                   std::move(entries));
}

// One that does more than add.
std::shared_ptr<const Adapter> MakeUnscalable() {
  std::vector<Adapter::SiteEntry> entries;
  entries.push_back({1, {ScaleOut{std::vector<float>(8, 2.0f)}}});
  return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                   std::move(entries));
}

class RegistryVerbsTest : public ::testing::Test {
 protected:
  absl::Status Load(const std::string& name, AdapterOrigin origin = {}) {
    PEFT_RETURN_IF_ERROR(registry_.Reserve(name));
    const absl::Status status =
        registry_.Add(name, MakeAdapter(), std::move(origin));
    if (!status.ok()) registry_.CancelReservation(name);
    return status;
  }

  void LoadAll(const Names& names) {
    for (const std::string& name : names) ASSERT_TRUE(Load(name).ok());
  }

  uint64_t Generation(const std::string& name) {
    return (*registry_.Get(name))->generation();
  }

  float ScaleInPlan(size_t index = 0) {
    return registry_.CurrentPlan()->activation().entries[index].scale;
  }

  SiteTable sites_ = TinySites();
  AdapterRegistry registry_{&sites_};
};

TEST_F(RegistryVerbsTest, ReplacingKeepsPlaceScalesAndPin) {
  LoadAll({"a", "b", "c"});
  ASSERT_TRUE(registry_.SetActive(Names{"b", "a"}, {2.0f, 1.0f}).ok());
  ASSERT_TRUE(registry_.SetScale("b", 3.0f).ok());
  ASSERT_TRUE(registry_.SetPinned("b", true).ok());
  const auto next = MakeAdapter();
  ASSERT_TRUE(registry_.Replace("b", next, {"from", true}).ok());
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(registry_.Active(), ElementsAre("b", "a"));
  const auto plan = registry_.CurrentPlan();
  EXPECT_EQ(plan->activation().entries[0].adapter, next);
  EXPECT_EQ(plan->activation().entries[0].scale, 6.0f);
  const auto info = registry_.Info("b");
  EXPECT_TRUE(info->is_pinned);
  EXPECT_EQ(info->origin.source, "from");
  EXPECT_TRUE(info->origin.is_trainable);
}

TEST_F(RegistryVerbsTest, ReplacingLeavesPlansThatRunAsTheyWere) {
  LoadAll({"a"});
  const auto running = registry_.CurrentPlan();
  const auto before = *registry_.Get("a");
  ASSERT_TRUE(registry_.Replace("a", MakeAdapter()).ok());
  EXPECT_EQ(running->activation().entries[0].adapter, before);
  EXPECT_NE(registry_.CurrentPlan(), running);
}

TEST_F(RegistryVerbsTest, ReplacingAnInactiveOneActivatesNothing) {
  LoadAll({"a", "b"});
  const auto plan = registry_.CurrentPlan();
  ASSERT_TRUE(registry_.Replace("a", MakeAdapter()).ok());
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  EXPECT_THAT(registry_.Active(), ElementsAre("b"));
}

TEST_F(RegistryVerbsTest, ReplacesOnlyTheGenerationThatIsExpected) {
  LoadAll({"a"});
  const uint64_t first = Generation("a");
  ASSERT_TRUE(registry_.Replace("a", MakeAdapter(), {}, first).ok());
  const uint64_t second = Generation("a");
  const absl::Status status = registry_.Replace("a", MakeAdapter(), {}, first);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterGeneration);
  EXPECT_EQ(Generation("a"), second);
  EXPECT_EQ(ErrorId(registry_.CheckReplaceable("a", first)),
            error_id::kAdapterGeneration);
  EXPECT_EQ(ErrorId(registry_.Replace("x", MakeAdapter())),
            error_id::kAdapterNotFound);
}

TEST_F(RegistryVerbsTest, AReplacementThatCannotActSoLeavesTheOldOne) {
  LoadAll({"a"});
  ASSERT_TRUE(registry_.SetScale("a", 0.5f).ok());
  const uint64_t before = Generation("a");
  const auto plan = registry_.CurrentPlan();
  EXPECT_EQ(ErrorId(registry_.Replace("a", MakeUnscalable())),
            error_id::kAdapterScale);
  EXPECT_EQ(Generation("a"), before);
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  ASSERT_TRUE(registry_.SetActive(Names{}).ok());
  EXPECT_EQ(ErrorId(registry_.Replace("a", MakeUnscalable())),
            error_id::kAdapterScale);
  EXPECT_EQ(Generation("a"), before);
}

TEST_F(RegistryVerbsTest, RenamingKeepsWhatIsActive) {
  LoadAll({"a", "b"});
  ASSERT_TRUE(registry_.SetActive(Names{"a", "b"}, {2.0f, 1.0f}).ok());
  ASSERT_TRUE(registry_.SetScale("a", 3.0f).ok());
  const auto plan = registry_.CurrentPlan();
  ASSERT_TRUE(registry_.Rename("a", "c").ok());
  EXPECT_THAT(registry_.Names(), ElementsAre("c", "b"));
  EXPECT_THAT(registry_.Active(), ElementsAre("c", "b"));
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  registry_.SetEnabled(false);
  registry_.SetEnabled(true);
  EXPECT_EQ(ScaleInPlan(), 6.0f);
  EXPECT_TRUE(registry_.Rename("b", "b").ok());
}

TEST_F(RegistryVerbsTest, RenamingRefusesNamesThatAreTakenOrMeanTheBase) {
  LoadAll({"a", "b"});
  ASSERT_TRUE(registry_.Reserve("loading").ok());
  EXPECT_EQ(ErrorId(registry_.Rename("a", "b")), error_id::kAdapterExists);
  EXPECT_EQ(ErrorId(registry_.Rename("a", "loading")),
            error_id::kAdapterExists);
  EXPECT_EQ(ErrorId(registry_.Rename("a", "__base__")), error_id::kAdapterName);
  EXPECT_EQ(ErrorId(registry_.Rename("x", "y")), error_id::kAdapterNotFound);
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "b"));
}

TEST_F(RegistryVerbsTest, AScaleIsAbsoluteAndActsWhereverTheAdapterDoes) {
  LoadAll({"a", "b"});
  ASSERT_TRUE(registry_.SetActive(Names{"a", "b"}, {2.0f, 1.0f}).ok());
  ASSERT_TRUE(registry_.SetScale("a", 3.0f).ok());
  ASSERT_TRUE(registry_.SetScale("a", 0.5f).ok());
  EXPECT_EQ(ScaleInPlan(0), 1.0f);
  EXPECT_EQ(ScaleInPlan(1), 1.0f);
  EXPECT_EQ(registry_.Info("a")->scale, 0.5f);
  ASSERT_TRUE(registry_.SetActive(Names{"a"}).ok());
  EXPECT_EQ(ScaleInPlan(), 0.5f);
  EXPECT_EQ(
      registry_.PlanOf(Names{"a"}, {4.0f})->plan->activation().entries[0].scale,
      2.0f);
}

TEST_F(RegistryVerbsTest, RefusesScalesThatAnAdapterCannotHave) {
  LoadAll({"a"});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ErrorId(registry_.SetScale("a", nan)), error_id::kArgument);
  EXPECT_EQ(ErrorId(registry_.SetScale("x", 1)), error_id::kAdapterNotFound);
  ASSERT_TRUE(registry_.Reserve("b").ok());
  ASSERT_TRUE(registry_.Add("b", MakeUnscalable()).ok());
  const auto plan = registry_.CurrentPlan();
  for (const bool active : {true, false}) {
    if (!active) {
      ASSERT_TRUE(registry_.SetActive(Names{}).ok());
    }
    EXPECT_EQ(ErrorId(registry_.SetScale("b", 0.5f)), error_id::kAdapterScale);
    EXPECT_EQ(registry_.Info("b")->scale, 1.0f);
  }
  EXPECT_TRUE(registry_.SetScale("b", 0.0f).ok());
}

// Found when they are enabled again would be too late.
TEST_F(RegistryVerbsTest, WhatCannotActIsRefusedWhileDisabledToo) {
  ASSERT_TRUE(registry_.Reserve("a").ok());
  ASSERT_TRUE(registry_.Add("a", MakeUnscalable()).ok());
  registry_.SetEnabled(false);
  EXPECT_EQ(ErrorId(registry_.SetActive(Names{"a"}, {0.5f})),
            error_id::kAdapterScale);
  registry_.SetEnabled(true);
  EXPECT_EQ(ScaleInPlan(), 1.0f);
}

// -- Plans of one's own
// --------------------------------------------------------

TEST_F(RegistryVerbsTest, RowsRunTheAdaptersThatTheyName) {
  LoadAll({"a", "b"});
  const auto rows = registry_.PlansOfRows(Names{"a", "__base__", "b", "a"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ((*rows)[0], (*rows)[3]);
  EXPECT_EQ((*rows)[0]->activation().entries[0].adapter, *registry_.Get("a"));
  EXPECT_EQ((*rows)[2]->activation().entries[0].adapter, *registry_.Get("b"));
  EXPECT_TRUE((*rows)[1]->activation().entries.empty());
  EXPECT_THAT(registry_.Active(), ElementsAre("b"));
}

TEST_F(RegistryVerbsTest, RowsNameAllThatAreUnknown) {
  LoadAll({"a"});
  const absl::Status status =
      registry_.PlansOfRows(Names{"x", "a", "y", "x"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no adapter \"x\", \"y\"; loaded are: \"a\""));
}

TEST_F(RegistryVerbsTest, DisablingWinsOverNames) {
  LoadAll({"a"});
  registry_.SetEnabled(false);
  const auto rows = registry_.PlansOfRows(Names{"a"});
  EXPECT_TRUE((*rows)[0]->activation().entries.empty());
  EXPECT_FALSE(registry_.PlansOfRows(Names{"x"}).ok());
  // A plan of one's own is for later too.
  EXPECT_EQ(registry_.PlanOf(Names{"a"})->plan->activation().entries.size(),
            1u);
}

// -- Limits
// --------------------------------------------------------------------

TEST_F(RegistryVerbsTest, ALoadEvictsTheLeastLatelyUsed) {
  ASSERT_TRUE(registry_.SetLimit({3 * kBytes, 0}).ok());
  LoadAll({"a", "b", "c"});
  ASSERT_TRUE(registry_.PlansOfRows(Names{"a"}).ok());
  ASSERT_TRUE(Load("d").ok());
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "c", "d"));
  EXPECT_EQ(registry_.Usage().num_adapters, 3);
  EXPECT_EQ(registry_.Usage().size_bytes, 3 * kBytes);
}

TEST_F(RegistryVerbsTest, SaysThatAnAdapterWasEvicted) {
  ASSERT_TRUE(registry_.SetLimit({0, 2}).ok());
  LoadAll({"a", "b", "c"});
  const absl::Status status = registry_.SetActive(Names{"a"});
  EXPECT_EQ(ErrorId(status), error_id::kAdapterNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("evicted"));
  EXPECT_THAT(std::string(registry_.SetActive(Names{"x"}).message()),
              ::testing::Not(HasSubstr("evicted")));
  ASSERT_TRUE(Load("a").ok());
  ASSERT_TRUE(registry_.Delete(Names{"a"}).ok());
  EXPECT_THAT(std::string(registry_.SetActive(Names{"a"}).message()),
              ::testing::Not(HasSubstr("evicted")));
}

TEST_F(RegistryVerbsTest, WhatIsActivePinnedTrainableOrHeldStays) {
  ASSERT_TRUE(registry_.SetLimit({0, 4}).ok());
  LoadAll({"pinned", "held"});
  ASSERT_TRUE(Load("trainable", {"", true}).ok());
  ASSERT_TRUE(Load("active").ok());
  ASSERT_TRUE(registry_.SetPinned("pinned", true).ok());
  auto held = registry_.PlanOf(Names{"held"});
  ASSERT_TRUE(held.ok());
  const auto plan = registry_.CurrentPlan();
  const absl::Status status = Load("more");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterLimit);
  EXPECT_EQ(registry_.CurrentPlan(), plan);
  EXPECT_EQ(registry_.Usage().num_adapters, 4);
  held = HeldPlan();
  EXPECT_TRUE(Load("more").ok());
  EXPECT_THAT(registry_.Names(),
              ElementsAre("pinned", "trainable", "active", "more"));
}

TEST_F(RegistryVerbsTest, ALowerLimitEvictsOrIsRefused) {
  LoadAll({"a", "b", "c"});
  ASSERT_TRUE(registry_.SetActive(Names{"a", "c"}).ok());
  ASSERT_TRUE(registry_.SetLimit({2 * kBytes, 0}).ok());
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "c"));
  EXPECT_EQ(ErrorId(registry_.SetLimit({0, 1})), error_id::kAdapterLimit);
  EXPECT_EQ(ErrorId(registry_.SetLimit({-1, 0})), error_id::kArgument);
  EXPECT_EQ(ErrorId(Load("d")), error_id::kAdapterLimit);
  EXPECT_TRUE(registry_.SetLimit({}).ok());
  EXPECT_TRUE(Load("d").ok());
}

TEST_F(RegistryVerbsTest, AReplacedAdapterMakesRoomForItsSuccessor) {
  LoadAll({"a"});
  ASSERT_TRUE(registry_.SetLimit({kBytes, 1}).ok());
  EXPECT_TRUE(registry_.CheckRoom(kBytes, "a").ok());
  EXPECT_EQ(ErrorId(registry_.CheckRoom(kBytes, "")), error_id::kAdapterLimit);
  EXPECT_TRUE(registry_.Replace("a", MakeAdapter()).ok());
}

TEST_F(RegistryVerbsTest, MemoryThatIsKeptCountsUnderTheLimit) {
  constexpr int64_t kBlock = 4 << 20;
  const auto allocate_and_free = [&] {
    EXPECT_NE(registry_.blocks().Allocate(kBlock), nullptr);
  };
  allocate_and_free();
  EXPECT_EQ(registry_.blocks().kept_bytes(), uint64_t{kBlock});
  ASSERT_TRUE(registry_.SetLimit({kBlock + kBytes, 0}).ok());
  LoadAll({"a"});
  EXPECT_EQ(registry_.blocks().kept_bytes(), uint64_t{kBlock});
  LoadAll({"b"});
  EXPECT_EQ(registry_.blocks().kept_bytes(), 0u);
  EXPECT_THAT(registry_.Names(), ElementsAre("a", "b"));
  ASSERT_TRUE(registry_.Delete(Names{"b"}).ok());
  allocate_and_free();
  EXPECT_EQ(registry_.blocks().kept_bytes(), uint64_t{kBlock});
}

TEST_F(RegistryVerbsTest, InfoNamesTheKnownOnes) {
  LoadAll({"a"});
  const auto info = registry_.Info("a");
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->is_active);
  EXPECT_EQ(info->size_bytes, kBytes);
  EXPECT_THAT(std::string(registry_.Info("x").status().message()),
              AllOf(HasSubstr("\"x\""), HasSubstr("\"a\"")));
}

}  // namespace
}  // namespace peft
