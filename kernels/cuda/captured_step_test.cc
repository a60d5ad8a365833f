// A captured step of adapted layers goes on working when adapters are
// exchanged, and asks for nothing while it is captured.

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/adapter_pool.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/device_case.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kIn = 64;
constexpr int64_t kOut = 24;
constexpr int64_t kRows = 3;
constexpr KernelTypes kTypes = {DType::kBF16, DType::kBF16};

MatrixView View(const HostMatrix& matrix, const std::vector<char>& bytes) {
  return {bytes.data(), matrix.dtype(), matrix.rows(), matrix.cols(),
          matrix.stride()};
}

// An adapter for one site, on the host and in the pool.
struct Adapter {
  Adapter(int64_t rank, AdapterPool& pool, Random& random)
      : a(kTypes.w, rank, kIn, random), b(kTypes.w, kOut, rank, random) {
    const std::vector<char> a_bytes = a.Bytes();
    const std::vector<char> b_bytes = b.Bytes();
    const auto loaded = pool.Load({{View(a, a_bytes), View(b, b_bytes)}});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    id = *loaded;
  }

  HostMatrix a;
  HostMatrix b;
  AdapterId id = 0;
};

class CapturedStepTest : public testing::TestWithParam<Machine> {
 protected:
  CapturedStepTest() : machine_(GetParam()) {}

  void SetUp() override {
    if (!machine_.missing().empty()) {
      GTEST_SKIP() << "no GPU: " << machine_.missing();
    }
    AdapterPoolOptions options;
    options.sites = {{kIn, kOut, 16}};
    options.dtype = kTypes.w;
    options.page_bytes = 4096;
    options.num_pages = 8;
    auto pool = AdapterPool::Create(machine_.device(), options);
    ASSERT_TRUE(pool.ok()) << pool.status();
    pool_ = *std::move(pool);
    MakeArgs();
  }
  void TearDown() override {
    if (exec_ == nullptr) return;
    const DeviceScope scope(machine_.device());
    EXPECT_EQ(driver()->cuGraphExecDestroy(exec_), kSuccess);
  }

  const Driver& driver() { return machine_.device().driver(); }

  void MakeArgs() {
    x_ = std::make_unique<HostMatrix>(kTypes.x, kRows, kIn, random_);
    w_ = std::make_unique<HostMatrix>(kTypes.x, kOut, kIn, random_);
    args_.input = {machine_.Upload(*x_), kIn, kIn};
    args_.output.y = machine_.Allocate(kRows * kOut * 2);
    args_.output.stride = kOut;
    args_.output.size = kOut;
    args_.output.weight = machine_.Upload(*w_);
    LowRankArgs& low_rank = args_.low_rank;
    low_rank.tiles = machine_.Upload(MakeTiles(std::vector<RowGroup>{
        {kRows, pool_->first_term(0), pool_->num_terms()}}));
    low_rank.terms = pool_->terms(0);
    low_rank.rows = kRows;
    low_rank.num_tiles = 1;
    low_rank.columns = pool_->columns();
    low_rank.chunks = pool_->chunks();
    plan_ = machine_.kernels().PlanFused(
        kTypes, {kRows, kIn, kOut, low_rank.num_tiles, pool_->units()});
    ASSERT_TRUE(plan_.has_value());
    low_rank.t = machine_.Allocate(plan_->t_floats() * sizeof(float));
    args_.arrived = machine_.Upload(std::vector<uint32_t>{0, 0});
    args_.left = args_.arrived + sizeof(uint32_t);
  }

  void Capture() {
    const DeviceScope scope(machine_.device());
    GraphHandle graph = nullptr;
    ASSERT_EQ(driver()->cuStreamBeginCapture_v2(machine_.stream(),
                                                kCaptureThreadLocal),
              kSuccess);
    EXPECT_TRUE(machine_.kernels()
                    .Fused(kTypes.x, *plan_, args_, machine_.stream())
                    .ok());
    ASSERT_EQ(driver()->cuStreamEndCapture(machine_.stream(), &graph),
              kSuccess);
    ASSERT_EQ(driver()->cuGraphInstantiateWithFlags(&exec_, graph, 0),
              kSuccess);
    EXPECT_EQ(driver()->cuGraphDestroy(graph), kSuccess);
  }

  // Runs the graph and compares y with the base and this adapter, if any.
  void ExpectAdapter(const Adapter* adapter, float scale) {
    {
      const DeviceScope scope(machine_.device());
      ASSERT_EQ(driver()->cuGraphLaunch(exec_, machine_.stream()), kSuccess);
    }
    HostMatrix y(kTypes.x, kRows, kOut, random_);
    machine_.Download(args_.output.y, y);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < kOut; ++i) {
        double sum = Dot(*x_, row, *w_, i);
        for (int64_t j = 0; adapter != nullptr && j < adapter->a.rows(); ++j) {
          sum += double{scale} * Dot(*x_, row, adapter->a, j) *
                 adapter->b.At(i, j);
        }
        EXPECT_NEAR(y.At(row, i), sum, 0x1p-8 * std::abs(sum) + 1e-2);
      }
    }
  }
  static double Dot(const HostMatrix& x, int64_t x_row, const HostMatrix& w,
                    int64_t w_row) {
    double sum = 0;
    for (int64_t k = 0; k < kIn; ++k) {
      sum += double{x.At(x_row, k)} * w.At(w_row, k);
    }
    return sum;
  }

  DeviceCase machine_;
  Random random_{7};
  std::unique_ptr<AdapterPool> pool_;
  std::unique_ptr<HostMatrix> x_;
  std::unique_ptr<HostMatrix> w_;
  FusedArgs args_;
  std::optional<FusedPlan> plan_;
  GraphExecHandle exec_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Machines, CapturedStepTest,
                         testing::Values(Machine::kForwards,
                                         Machine::kBackwards, Machine::kGpu),
                         MachineName);

TEST_P(CapturedStepTest, GoesOnWithOtherAdaptersScalesAndNone) {
  const Adapter first(16, *pool_, random_);
  const Adapter second(5, *pool_, random_);
  Capture();
  ExpectAdapter(nullptr, 1);
  const StreamHandle stream = machine_.stream();
  ASSERT_TRUE(pool_->SetSlot(0, {{first.id, 1}}, stream).ok());
  ExpectAdapter(&first, 1);
  ASSERT_TRUE(pool_->SetSlot(0, {{second.id, 0.5f}}, stream).ok());
  ExpectAdapter(&second, 0.5f);
  ASSERT_TRUE(pool_->SetSlot(0, {{second.id, 2}}, stream).ok());
  ExpectAdapter(&second, 2);
  ASSERT_TRUE(pool_->SetSlot(0, {}, stream).ok());
  ExpectAdapter(nullptr, 1);
}

TEST_P(CapturedStepTest, IsOneLaunchForALayer) {
  if (machine_.fake() == nullptr) GTEST_SKIP() << "the fake counts launches";
  Capture();
  machine_.fake()->TakeLaunches();
  ExpectAdapter(nullptr, 1);
  EXPECT_EQ(machine_.fake()->TakeLaunches(),
            std::vector<std::string>{"peft_fused_bf16_8"});
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
