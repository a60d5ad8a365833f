#include "peft_cc/adapters/batch_plan.h"

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using Plans = std::vector<std::shared_ptr<const Plan>>;

class BatchPlanTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Plan> MakePlan(float scale) {
    std::vector<Adapter::SiteEntry> entries;
    const auto adapter = std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                                   std::move(entries));
    return *Plan::Create(sites_, {{{adapter, scale}}});
  }

  static std::vector<int64_t> Order(const BatchPlan& batch) {
    std::vector<int64_t> order;
    for (int64_t i = 0; i < batch.batch(); ++i) order.push_back(batch.RowAt(i));
    return order;
  }

  const SiteTable sites_ = TinySites();
  const std::shared_ptr<const Plan> a_ = MakePlan(1);
  const std::shared_ptr<const Plan> b_ = MakePlan(1);
  const std::shared_ptr<const Plan> c_ = MakePlan(1);
};

TEST_F(BatchPlanTest, RowsOfOnePlanStandTogether) {
  const BatchPlan batch(Plans{a_, b_, a_, c_, b_, a_});
  EXPECT_THAT(Order(batch), ElementsAre(0, 2, 5, 1, 4, 3));
  ASSERT_EQ(batch.groups().size(), 3u);
  EXPECT_EQ(batch.groups()[0].plan, a_.get());
  EXPECT_EQ(batch.groups()[0].rows, 3);
  EXPECT_EQ(batch.groups()[1].rows, 2);
  EXPECT_EQ(batch.groups()[2].rows, 1);
  EXPECT_EQ(&batch.OfRow(3), c_.get());
}

TEST_F(BatchPlanTest, RestoresTheBatchsOrder) {
  const BatchPlan batch(Plans{a_, b_, c_, a_, b_, a_, c_});
  std::vector<float> rows;
  for (int64_t i = 0; i < batch.batch(); ++i) {
    rows.push_back(static_cast<float>(batch.RowAt(i)));
    rows.push_back(static_cast<float>(batch.RowAt(i)) + 0.5f);
  }
  batch.RestoreOrder(2, rows.data());
  for (int64_t i = 0; i < batch.batch(); ++i) {
    EXPECT_EQ(rows[2 * i], static_cast<float>(i));
    EXPECT_EQ(rows[2 * i + 1], static_cast<float>(i) + 0.5f);
  }
}

TEST_F(BatchPlanTest, OnePlanFitsAnyBatch) {
  const BatchPlan batch(a_);
  EXPECT_EQ(batch.batch(), 0);
  EXPECT_EQ(batch.RowAt(7), 7);
  EXPECT_EQ(&batch.OfRow(7), a_.get());
  std::vector<float> rows = {1, 2, 3};
  batch.RestoreOrder(1, rows.data());
  EXPECT_THAT(rows, ElementsAre(1, 2, 3));
}

TEST_F(BatchPlanTest, SameIsByRow) {
  const BatchPlan rows(Plans{a_, b_});
  EXPECT_TRUE(rows.SameAs(BatchPlan(Plans{a_, b_}), 2));
  EXPECT_FALSE(rows.SameAs(BatchPlan(Plans{b_, a_}), 2));
  EXPECT_FALSE(rows.SameAs(BatchPlan(a_), 2));
  EXPECT_TRUE(BatchPlan(Plans{a_, a_}).SameAs(BatchPlan(a_), 2));
  EXPECT_TRUE(BatchPlan(a_).IsIdentical(BatchPlan(a_)));
  EXPECT_FALSE(BatchPlan(a_).IsIdentical(BatchPlan(b_)));
}

}  // namespace
}  // namespace peft
