// Shrink and expand against sums in f64.

#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/device_case.h"
#include "kernels/cuda/testing/low_rank_layer.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

class LowRankTest
    : public testing::TestWithParam<std::tuple<Machine, DType, DType>> {
 protected:
  LowRankTest() : machine_(std::get<0>(GetParam())) {}

  void SetUp() override {
    if (!machine_.missing().empty()) {
      GTEST_SKIP() << "no GPU: " << machine_.missing();
    }
  }

  static KernelTypes Types() {
    return {std::get<1>(GetParam()), std::get<2>(GetParam())};
  }

  DeviceCase machine_;
  // Each case draws its own.
  Random random_{static_cast<unsigned>(
      static_cast<int>(std::get<0>(GetParam())) * 10000 +
      static_cast<int>(Types().x) * 100 + static_cast<int>(Types().w))};
};

std::string CaseName(
    const testing::TestParamInfo<std::tuple<Machine, DType, DType>>& info) {
  const auto [machine, x, w] = info.param;
  return MachineName({machine, 0}) + "_" + std::string(DTypeName(x)) + "_" +
         std::string(DTypeName(w));
}

INSTANTIATE_TEST_SUITE_P(
    Machines, LowRankTest,
    testing::Combine(testing::Values(Machine::kForwards, Machine::kBackwards,
                                     Machine::kGpu),
                     testing::Values(DType::kF32, DType::kF16, DType::kBF16),
                     testing::Values(DType::kF32, DType::kF16, DType::kBF16)),
    CaseName);

TEST_P(LowRankTest, GroupsOfEachSizeWithRanksOfTheirOwn) {
  LowRankLayer layer(Types(), 96, 40, random_);
  layer.AddTerm(16, 2.0f);
  layer.AddTerm(1, -0.5f);
  layer.AddTerm(8, 1.5f);
  layer.AddGroup(17, 0, 1);
  layer.AddGroup(1, 1, 1);
  layer.AddGroup(3, 2, 1);
  layer.CheckShrinkAndExpand(machine_);
}

TEST_P(LowRankTest, OddSizesAtOddAddresses) {
  LowRankLayer layer(Types(), 75, 13, random_);
  layer.AddTerm(5, 1.0f);
  layer.AddTerm(0, 1.0f);
  layer.AddGroup(2, 0, 1);
  layer.AddGroup(2, 1, 1);
  layer.set_splits(2);
  layer.set_shift(DTypeSize(DType::kF32));
  layer.CheckShrinkAndExpand(machine_);
}

TEST_P(LowRankTest, SeveralTermsWithGatesAndFactorsOfRanks) {
  LowRankLayer layer(Types(), 64, 24, random_);
  layer.AddTerm(20, 0.75f);
  layer.last_term().rank_scale = std::vector<float>(20, 1.25f);
  layer.AddTerm(9, -1.0f);
  layer.last_term().gate = {1, 0, 0.5f, 1, 1};
  layer.AddGroup(3, 0, 2);
  layer.AddGroup(2, 0, 0);
  layer.CheckShrinkAndExpand(machine_);
}

TEST_P(LowRankTest, RowsThatLieElsewhere) {
  LowRankLayer layer(Types(), 64, 16, random_);
  layer.AddTerm(4, 1.0f);
  layer.AddTerm(4, 1.0f);
  layer.AddGroup(5, 0, 1);
  layer.AddGroup(6, 1, 1);
  layer.ShuffleRows();
  layer.CheckShrinkAndExpand(machine_);
}

TEST_P(LowRankTest, LayersDrawnAtRandom) {
  const auto draw = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random_);
  };
  for (int i = 0; i < 2; ++i) {
    LowRankLayer layer(Types(), draw(1, 130), draw(1, 50), random_);
    const int terms = draw(1, 4);
    for (int j = 0; j < terms; ++j)
      layer.AddTerm(draw(0, 35), 0.25f * draw(-4, 4));
    for (int groups = draw(1, 3); groups > 0; --groups) {
      const int first = draw(0, terms - 1);
      layer.AddGroup(draw(0, 18), first, draw(0, terms - first));
    }
    layer.AddGroup(1, 0, 1);
    layer.set_splits(draw(1, 3));
    layer.CheckShrinkAndExpand(machine_);
    if (HasFatalFailure()) FAIL() << "layer " << i;
  }
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
