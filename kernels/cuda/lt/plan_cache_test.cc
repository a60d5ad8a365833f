#include "kernels/cuda/lt/plan_cache.h"

#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/example_gemm.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int kId = static_cast<int>(LtAlgoAttribute::kId);

// The fake has three algorithms for LinearGemm.
class PlanCacheTest : public ::testing::Test {
 protected:
  uint32_t AlgoOf(const Gemm& gemm) {
    return cache_.Get(gemm).value()->Config().value()[kId];
  }

  std::unique_ptr<TestDevice> device_ = TestDevice::Fake();
  PlanCache cache_{device_->handle(), LtSettings(), /*capacity=*/3};
};

// Finds algorithm `id` the fastest.
absl::StatusOr<double> Prefer(uint32_t id, const GemmPlan& plan) {
  PEFT_ASSIGN_OR_RETURN(const LtAlgoConfig config, plan.Config());
  return config[kId] == id ? 1e-6 : 2e-6;
}

TEST_F(PlanCacheTest, APlanIsMadeOnce) {
  const auto first = cache_.Get(LinearGemm(8)).value();
  EXPECT_EQ(cache_.Get(LinearGemm(8)).value(), first);
  EXPECT_NE(cache_.Get(LinearGemm(9)).value(), first);
  EXPECT_EQ(cache_.stats().hits, 1);
  EXPECT_EQ(cache_.stats().misses, 2);
}

TEST_F(PlanCacheTest, ForgetsThePlanThatWasUsedFirst) {
  const auto first = cache_.Get(LinearGemm(1)).value();
  for (int64_t m : {2, 3, 1, 4}) ASSERT_TRUE(cache_.Get(LinearGemm(m)).ok());
  EXPECT_EQ(cache_.stats().misses, 4);
  EXPECT_EQ(cache_.Get(LinearGemm(1)).value(), first);
  EXPECT_EQ(cache_.stats().misses, 4);
  ASSERT_TRUE(cache_.Get(LinearGemm(2)).ok());
  EXPECT_EQ(cache_.stats().misses, 5);
}

TEST_F(PlanCacheTest, AForgottenPlanStillRuns) {
  const auto plan = cache_.Get(LinearGemm(1)).value();
  for (int64_t m : {2, 3, 4}) ASSERT_TRUE(cache_.Get(LinearGemm(m)).ok());
  EXPECT_EQ(plan->gemm().m, 1);
  EXPECT_TRUE(plan->Config().ok());
}

TEST_F(PlanCacheTest, AFailureIsNotKept) {
  Gemm wrong = LinearGemm(8);
  wrong.left.stride = 1;
  EXPECT_EQ(cache_.Get(wrong).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(cache_.Get(LinearGemm(8)).ok());
}

TEST_F(PlanCacheTest, TuningTakesTheFastestForTheWholeBucket) {
  for (uint32_t id : {0, 1, 2}) {
    int timed = 0;
    const absl::Status status =
        cache_.Tune(LinearGemm(5), 8, [&](const GemmPlan& plan) {
          EXPECT_EQ(plan.gemm().m, 8);
          ++timed;
          return Prefer(id, plan);
        });
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(timed, 3);
    for (int64_t m : {5, 6, 8}) EXPECT_EQ(AlgoOf(LinearGemm(m)), id);
    EXPECT_EQ(AlgoOf(LinearGemm(4)), 2u);  // the library's own choice
  }
  EXPECT_EQ(cache_.tuned().size(), 1u);
}

TEST_F(PlanCacheTest, TuningAsksForNoMoreThanItWasTold) {
  int timed = 0;
  ASSERT_TRUE(cache_
                  .Tune(LinearGemm(8), 2,
                        [&](const GemmPlan& plan) {
                          ++timed;
                          return Prefer(0, plan);
                        })
                  .ok());
  EXPECT_EQ(timed, 2);
}

TEST_F(PlanCacheTest, ATimerThatFailsChangesNothing) {
  const absl::Status status = cache_.Tune(
      LinearGemm(8), 8, [](const GemmPlan&) -> absl::StatusOr<double> {
        return absl::InternalError("the device is gone");
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(cache_.tuned().empty());
}

TEST_F(PlanCacheTest, WhatWasTunedCanBeAddedElsewhere) {
  ASSERT_TRUE(cache_
                  .Tune(LinearGemm(8), 8,
                        [](const GemmPlan& plan) { return Prefer(0, plan); })
                  .ok());
  PlanCache other(device_->handle(), LtSettings());
  ASSERT_TRUE(other.Get(LinearGemm(8)).ok());
  other.Add(cache_.tuned());
  EXPECT_EQ(other.Get(LinearGemm(8)).value()->Config().value()[kId], 0u);
}

TEST_F(PlanCacheTest, AnAlgorithmThatDoesNotFitIsCountedAndNotUsed) {
  TunedAlgo algo;
  algo.config = {99};
  cache_.Add({{KeyOf(LinearGemm(8)), algo}});
  EXPECT_EQ(AlgoOf(LinearGemm(8)), 2u);
  EXPECT_EQ(cache_.stats().tuned_rejected, 1);
}

TEST_F(PlanCacheTest, DeterministicModeRefusesAlgorithmsThatSplitSums) {
  ASSERT_TRUE(cache_
                  .Tune(LinearGemm(8), 8,
                        [](const GemmPlan& plan) { return Prefer(2, plan); })
                  .ok());
  LtSettings settings;
  settings.deterministic = true;
  PlanCache strict(device_->handle(), settings);
  strict.Add(cache_.tuned());
  EXPECT_NE(strict.Get(LinearGemm(8)).value()->Config().value()[kId], 2u);
  EXPECT_EQ(strict.stats().tuned_rejected, 1);
}

TEST_F(PlanCacheTest, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int64_t m = 1; m <= 50; ++m) {
        EXPECT_TRUE(cache_.Get(LinearGemm(m % 7 + 1)).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache_.stats().hits + cache_.stats().misses, 200);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
