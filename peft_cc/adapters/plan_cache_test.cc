#include "peft_cc/adapters/plan_cache.h"

#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

class PlanCacheTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const Adapter> MakeAdapter() {
    return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                     std::vector<Adapter::SiteEntry>());
  }

  const SiteTable sites_ = TinySites();
  PlanCache cache_{&sites_};
  const std::shared_ptr<const Adapter> a_ = MakeAdapter();
  const std::shared_ptr<const Adapter> b_ = MakeAdapter();
};

TEST_F(PlanCacheTest, EqualActivationsHaveOnePlan) {
  const auto plan = *cache_.Get({{{a_, 1}}}, {});
  EXPECT_EQ(*cache_.Get({{{a_, 1}}}, {}), plan);
  EXPECT_NE(*cache_.Get({{{a_, 0.5f}}}, {}), plan);
  EXPECT_NE(*cache_.Get({{{b_, 1}}}, {}), plan);
  EXPECT_NE(*cache_.Get({}, {}), plan);
}

TEST_F(PlanCacheTest, AnOverlayIsAnotherPlan) {
  const auto plan = *cache_.Get({{{a_, 1}}}, {});
  const auto overlay = std::make_shared<const BaseOverlay>();
  EXPECT_NE(*cache_.Get({{{a_, 1}}}, {{}, overlay}), plan);
}

TEST_F(PlanCacheTest, WhatNoAdapterChangesIsShared) {
  const auto overlay = std::make_shared<const BaseOverlay>();
  const auto a = *cache_.Get({{{a_, 1}}}, {});
  const auto merged = *cache_.Get({{{a_, 1}}}, {{}, overlay});
  const auto b = *cache_.Get({{{b_, 1}}}, {});
  EXPECT_EQ(&b->linear(0), &a->linear(0));
  EXPECT_EQ(&b->norm(0), &a->norm(0));
  EXPECT_NE(&merged->linear(0), &a->linear(0));
}

TEST_F(PlanCacheTest, ForgettingLetsAnAdapterGo) {
  std::weak_ptr<const Adapter> gone;
  std::list<std::shared_ptr<const Plan>> dropped;
  {
    const std::shared_ptr<const Adapter> adapter = MakeAdapter();
    gone = adapter;
    ASSERT_TRUE(cache_.Get({{{adapter, 1}}}, {}).ok());
    ASSERT_TRUE(cache_.Get({{{adapter, 1}, {a_, 1}}}, {}).ok());
    cache_.Forget(adapter->generation(), dropped);
  }
  EXPECT_EQ(dropped.size(), 2u);
  dropped.clear();
  EXPECT_TRUE(gone.expired());
}

TEST_F(PlanCacheTest, OldPlansGoFirst) {
  const auto first = *cache_.Get({{{a_, 1}}}, {});
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(cache_.Get({{{b_, static_cast<float>(i)}}}, {}).ok());
    if (i >= 20) continue;
    EXPECT_EQ(*cache_.Get({{{a_, 1}}}, {}), first);
  }
  EXPECT_NE(*cache_.Get({{{a_, 1}}}, {}), first);
}

}  // namespace
}  // namespace peft
