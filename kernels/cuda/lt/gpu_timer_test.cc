#include "kernels/cuda/lt/gpu_timer.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

class GpuTimerTest : public ::testing::Test {
 protected:
  GpuTimerTest() {
    GpuTimerOptions options;
    options.repeats = 3;
    options.flush_bytes = 1024;
    LtSettings settings;
    settings.workspace_bytes = 1 << 20;
    device_ = Device::Open(fake_->driver(), 0).value();
    timer_ = GpuTimer::Create(*device_, settings, options).value();
  }

  const std::unique_ptr<TestDevice> fake_ = TestDevice::Fake();
  std::unique_ptr<Device> device_;
  std::unique_ptr<GpuTimer> timer_;
};

// x[m, 256] w[32, 256]^T with a bias and a scale.
Gemm Linear(int64_t m) {
  Gemm gemm;
  gemm.m = m;
  gemm.n = 32;
  gemm.k = 256;
  gemm.left = {DType::kBF16, 256, 16, false};
  gemm.right = {DType::kBF16, 256, 16, true};
  gemm.out = {DType::kBF16, 32, 16, false};
  gemm.bias_alignment = 16;
  gemm.scale = GemmScale::kDevice;
  return gemm;
}

TEST_F(GpuTimerTest, RunsOnceMoreThanItCounts) {
  int runs = 0;
  const auto seconds = timer_->Time([&] {
    ++runs;
    return absl::OkStatus();
  });
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_GE(*seconds, 0);
  EXPECT_EQ(runs, 4);
}

TEST_F(GpuTimerTest, SeveralTakeTurns) {
  std::string runs;
  const auto first = [&] {
    runs += "a";
    return absl::OkStatus();
  };
  const auto second = [&] {
    runs += "b";
    return absl::OkStatus();
  };
  const auto seconds = timer_->TimeInTurns({first, second});
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_EQ(seconds->size(), 2u);
  EXPECT_EQ(runs, "abababab");
}

TEST_F(GpuTimerTest, TimesWhatIsOnItsStream) {
  const DevicePtr memory = fake_->Allocate(1);
  const auto clear = [&](int times) {
    for (int i = 0; i < times; ++i) {
      fake_->Check(fake_->driver()->cuMemsetD8Async(memory, 0, 1,
                                                    timer_->stream().stream));
    }
    return absl::OkStatus();
  };
  const auto seconds =
      timer_->TimeInTurns({[&] { return clear(1); }, [&] { return clear(3); }});
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_GT((*seconds)[0], 0);
  EXPECT_NEAR((*seconds)[1], 3 * (*seconds)[0], 1e-9);
}

TEST_F(GpuTimerTest, FailsWithWhatItMeasures) {
  EXPECT_EQ(
      timer_->Time([] { return absl::DataLossError("gone"); }).status().code(),
      absl::StatusCode::kDataLoss);
}

TEST_F(GpuTimerTest, TunesOnMemoryOfItsOwn) {
  PlanCache cache(fake_->handle(), LtSettings());
  for (int64_t m : {2, 16, 4}) {
    const int64_t before = fake_->fake()->runs();
    const absl::Status status = cache.Tune(
        Linear(m), 2,
        [this](const GemmPlan& plan) { return timer_->TimePlan(plan); });
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(fake_->fake()->runs() - before, 2 * 4);
  }
  EXPECT_EQ(cache.tuned().size(), 3u);
}

TEST_F(GpuTimerTest, ItsStreamHasTheConstantsThatScalesNeed) {
  float constants[] = {-1, -1};
  fake_->Read(timer_->stream().zero_one, sizeof(constants), constants);
  EXPECT_EQ(constants[0], 0.0f);
  EXPECT_EQ(constants[1], 1.0f);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
