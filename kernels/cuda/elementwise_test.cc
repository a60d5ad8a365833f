// The kernels that are no product of matrices, and gathers of tables.

#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/device_case.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using Parameter = std::tuple<Machine, DType>;

class ElementwiseTest : public testing::TestWithParam<Parameter> {
 protected:
  ElementwiseTest() : machine_(std::get<0>(GetParam())) {}

  void SetUp() override {
    if (!machine_.missing().empty()) {
      GTEST_SKIP() << "no GPU: " << machine_.missing();
    }
  }

  static DType Type() { return std::get<1>(GetParam()); }
  const AdapterKernels& kernels() { return machine_.kernels(); }
  StreamHandle stream() { return machine_.stream(); }

  std::vector<float> Floats(int64_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    return values;
  }
  // One rounding to the type, and some of f32: of sums whose parts are as large
  // as `size`.
  static void ExpectNear(float found, double expected, double size = 0) {
    const double rounding = Type() == DType::kF32   ? 0
                            : Type() == DType::kF16 ? 0x1p-11
                                                    : 0x1p-8;
    EXPECT_NEAR(found, expected,
                rounding * (std::abs(expected) + 1e-3) +
                    0x1p-22 * (std::abs(expected) + size));
  }

  DeviceCase machine_;
  Random random_{3};
};

INSTANTIATE_TEST_SUITE_P(
    Machines, ElementwiseTest,
    testing::Combine(testing::Values(Machine::kForwards, Machine::kBackwards,
                                     Machine::kGpu),
                     testing::Values(DType::kF32, DType::kF16, DType::kBF16)),
    [](const testing::TestParamInfo<Parameter>& info) {
      return MachineName({std::get<0>(info.param), 0}) + "_" +
             std::string(DTypeName(std::get<1>(info.param)));
    });

TEST_P(ElementwiseTest, ScaleInputRepeatsItsFactors) {
  const HostMatrix x(Type(), 3, 200, 203, random_);
  const std::vector<float> factor = Floats(100);
  HostMatrix out(Type(), 3, 200, 201, random_);
  ScaleInputArgs args;
  args.input = {machine_.Upload(x), x.stride(), x.cols()};
  args.out = machine_.Upload(out);
  args.stride = out.stride();
  args.rows = x.rows();
  args.factor = machine_.Upload(factor);
  args.repeat = 2;
  ASSERT_TRUE(kernels().ScaleInput(Type(), args, stream()).ok());
  machine_.Download(args.out, out);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t i = 0; i < 200; ++i) {
      ExpectNear(out.At(row, i), double{x.At(row, i)} * factor[i / 2]);
    }
    EXPECT_TRUE(std::isnan(out.At(row, 200)));
  }
}

TEST_P(ElementwiseTest, ScaleOutputLeavesOutWhatIsNull) {
  const HostMatrix before(Type(), 2, 130, 133, random_);
  const std::vector<float> bias = Floats(130);
  const std::vector<float> factor = Floats(130);
  for (const bool all : {false, true}) {
    HostMatrix y = before;
    ScaleOutputArgs args;
    args.y = machine_.Upload(before);
    args.stride = y.stride();
    args.rows = y.rows();
    args.size = y.cols();
    args.after = machine_.Upload(bias);
    if (all) {
      args.before = args.after;
      args.factor = machine_.Upload(factor);
    }
    ASSERT_TRUE(kernels().ScaleOutput(Type(), args, stream()).ok());
    machine_.Download(args.y, y);
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t i = 0; i < 130; ++i) {
        const double p = before.At(row, i);
        const double inner = all ? (p - bias[i]) * factor[i] : p;
        const double size = std::abs(p) + std::abs(bias[i]);
        ExpectNear(y.At(row, i), inner + bias[i],
                   size * (all ? std::abs(factor[i]) + 1 : 1));
      }
    }
  }
}

TEST_P(ElementwiseTest, GatherTakesPatchedRowsFromThePatch) {
  const HostMatrix table(Type(), 10, 140, random_);
  const HostMatrix patch(Type(), 2, 140, random_);
  const std::vector<int64_t> ids = {0, 3, 9, 3, 8};
  HostMatrix y(Type(), 5, 140, 144, random_);
  GatherArgs args;
  args.y = machine_.Upload(y);
  args.stride = y.stride();
  args.rows = 5;
  args.size = 140;
  args.ids = machine_.Upload(ids);
  args.table = machine_.Upload(table);
  args.patch = machine_.Upload(patch);
  args.patched = machine_.Upload(std::vector<int64_t>{3, 9});
  args.num_patched = 2;
  ASSERT_TRUE(kernels().Gather(Type(), args, stream()).ok());
  machine_.Download(args.y, y);
  for (int64_t i = 0; i < 140; ++i) {
    EXPECT_EQ(y.At(0, i), table.At(0, i));
    EXPECT_EQ(y.At(1, i), patch.At(0, i));
    EXPECT_EQ(y.At(2, i), patch.At(1, i));
    EXPECT_EQ(y.At(3, i), patch.At(0, i));
    EXPECT_EQ(y.At(4, i), table.At(8, i));
  }
}

TEST_P(ElementwiseTest, GatherColumnsIsShrinkOfOneHotRows) {
  const HostMatrix a(Type(), 5, 20, random_);
  LowRankTerm term;
  term.a = machine_.Upload(a);
  term.rank = 5;
  term.column = 1;
  GatherColumnsArgs args;
  args.low_rank.tiles =
      machine_.Upload(MakeTiles(std::vector<RowGroup>{{17, 0, 1}}));
  args.low_rank.terms = machine_.Upload(std::vector<LowRankTerm>{term});
  args.low_rank.rows = 17;
  args.low_rank.num_tiles = 2;
  args.low_rank.columns = 6;
  args.low_rank.t = machine_.Allocate(17 * 6 * sizeof(float));
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < 17; ++row) ids.push_back(19 - row);
  args.ids = machine_.Upload(ids);
  args.entries = 20;
  ASSERT_TRUE(kernels().GatherColumns(Type(), args, stream()).ok());
  HostMatrix t(DType::kF32, 17, 6, random_);
  machine_.Download(args.low_rank.t, t);
  for (int64_t row = 0; row < 17; ++row) {
    EXPECT_TRUE(std::isnan(t.At(row, 0)));
    for (int64_t j = 0; j < 5; ++j) {
      EXPECT_EQ(t.At(row, 1 + j), a.At(j, 19 - row));
    }
  }
}

TEST_P(ElementwiseTest, PatchComputesItsOutputsAlone) {
  const HostMatrix x(Type(), 18, 96, 99, random_);
  const HostMatrix patch(Type(), 9, 96, random_);
  HostMatrix y(Type(), 18, 40, 41, random_);
  const HostMatrix before = y;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 9; ++i) ids.push_back(4 * i + 1);
  PatchArgs args;
  args.input = {machine_.Upload(x), x.stride(), x.cols()};
  args.y = machine_.Upload(y);
  args.stride = y.stride();
  args.rows = 18;
  args.patch = machine_.Upload(patch);
  args.ids = machine_.Upload(ids);
  args.num_ids = 9;
  ASSERT_TRUE(kernels().Patch(Type(), args, stream()).ok());
  machine_.Download(args.y, y);
  for (int64_t row = 0; row < 18; ++row) {
    for (int64_t i = 0; i < 9; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < 96; ++k) {
        sum += double{x.At(row, k)} * patch.At(i, k);
      }
      EXPECT_NEAR(y.At(row, ids[i]), sum, 0x1p-8 * std::abs(sum) + 1e-4);
      EXPECT_EQ(y.At(row, ids[i] + 1), before.At(row, ids[i] + 1));
    }
  }
}

TEST_P(ElementwiseTest, MagnitudeIsDividedByTheNormAtItsScale) {
  const std::vector<float> magnitude = Floats(150);
  const std::vector<double> norm0(150, 4.0);
  const std::vector<double> norm1(150, -1.0);
  std::vector<double> norm2(150, 2.0);
  MagnitudeArgs args;
  args.factor = machine_.Allocate(150 * sizeof(float));
  args.magnitude = machine_.Upload(magnitude);
  args.norm0 = machine_.Upload(norm0);
  args.norm1 = machine_.Upload(norm1);
  args.norm2 = machine_.Upload(norm2);
  args.scale = machine_.Upload(std::vector<float>{0.5f});
  args.size = 150;
  ASSERT_TRUE(kernels().Magnitude(args, stream()).ok());
  HostMatrix factor(DType::kF32, 1, 150, random_);
  machine_.Download(args.factor, factor);
  for (int64_t i = 0; i < 150; ++i) {
    EXPECT_FLOAT_EQ(factor.At(0, i), magnitude[i] / std::sqrt(3.5f));
  }
}

TEST_P(ElementwiseTest, NoRowsAreNoLaunch) {
  EXPECT_TRUE(kernels().Gather(Type(), {}, stream()).ok());
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
