// Fused launches against sums in f64.

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/testing/device_case.h"
#include "kernels/cuda/testing/low_rank_layer.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

class FusedTest : public testing::TestWithParam<std::tuple<Machine, DType>> {
 protected:
  FusedTest() : machine_(std::get<0>(GetParam())) {}

  void SetUp() override {
    if (!machine_.missing().empty()) {
      GTEST_SKIP() << "no GPU: " << machine_.missing();
    }
  }

  static KernelTypes Types() {
    return {std::get<1>(GetParam()), std::get<1>(GetParam())};
  }
  int Draw(int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random_);
  }

  DeviceCase machine_;
  Random random_{
      static_cast<unsigned>(static_cast<int>(std::get<0>(GetParam())) * 10000 +
                            static_cast<int>(Types().x))};
};

std::string CaseName(
    const testing::TestParamInfo<std::tuple<Machine, DType>>& info) {
  const auto [machine, type] = info.param;
  return MachineName({machine, 0}) + "_" + std::string(DTypeName(type));
}

INSTANTIATE_TEST_SUITE_P(
    Machines, FusedTest,
    testing::Combine(testing::Values(Machine::kForwards, Machine::kBackwards,
                                     Machine::kGpu),
                     testing::Values(DType::kF16, DType::kBF16)),
    CaseName);

TEST_P(FusedTest, OneRow) {
  LowRankLayer layer(Types(), 1096, 200, random_);
  layer.AddTerm(16, 2.0f);
  layer.AddGroup(1, 0, 1);
  layer.AddWeight();
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, ARowForEachOf32Adapters) {
  LowRankLayer layer(Types(), 264, 40, random_);
  for (int i = 0; i < 32; ++i) {
    layer.AddTerm(i % 3 == 0 ? 16 : 8, 0.25f * static_cast<float>(i));
    layer.AddGroup(1, i, 1);
  }
  layer.AddWeight();
  layer.set_splits(2);
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, AddsToWhatIsThereWithoutAWeight) {
  LowRankLayer layer(Types(), 96, 40, random_);
  layer.AddTerm(12, 2.0f);
  layer.AddTerm(3, 1.0f);
  layer.AddGroup(2, 0, 1);
  layer.AddGroup(3, 1, 1);
  layer.set_splits(2);
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, RowsLieElsewhereAndSomeHaveNoTerm) {
  LowRankLayer layer(Types(), 160, 44, random_);
  layer.AddTerm(24, 0.5f);
  layer.AddGroup(4, 0, 1);
  layer.AddGroup(1, 0, 0);
  layer.AddWeight();
  layer.ShuffleRows();
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, SeveralTermsWithGatesAndFactorsOfRanks) {
  LowRankLayer layer(Types(), 64, 24, random_);
  layer.AddTerm(20, 0.75f);
  layer.last_term().rank_scale = std::vector<float>(20, 1.25f);
  layer.AddTerm(9, -1.0f);
  layer.last_term().gate = {1, 0, 0.5f, 1, 1};
  layer.AddGroup(3, 0, 2);
  layer.AddGroup(2, 0, 0);
  layer.AddWeight();
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, WithoutRanksItIsTheBaseProduct) {
  LowRankLayer layer(Types(), 72, 20, random_);
  layer.AddTerm(0, 1.0f);
  layer.AddGroup(9, 0, 1);
  layer.AddWeight();
  layer.CheckFused(machine_);
}

TEST_P(FusedTest, LayersDrawnAtRandom) {
  for (int i = 0; i < 2; ++i) {
    LowRankLayer layer(Types(), 8 * Draw(1, 60), Draw(1, 90), random_);
    const int terms = Draw(1, 4);
    for (int j = 0; j < terms; ++j) {
      layer.AddTerm(Draw(0, 35), 0.25f * static_cast<float>(Draw(-4, 4)));
    }
    for (int groups = Draw(1, 3); groups > 0; --groups) {
      const int first = Draw(0, terms - 1);
      layer.AddGroup(Draw(0, 10), first, Draw(0, terms - first));
    }
    layer.AddGroup(1, 0, 1);
    layer.set_splits(Draw(1, 3));
    if (Draw(0, 2) > 0) layer.AddWeight();
    layer.CheckFused(machine_);
    if (HasFatalFailure()) FAIL() << "layer " << i;
  }
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
