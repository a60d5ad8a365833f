#include "benchmarks/cuda/measurements.h"

#include <cmath>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/cuda/fake_bench.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::HasSubstr;

class MeasurementsTest : public ::testing::Test {
 protected:
  // Of a row of the last table.
  double At(size_t row, size_t column) const {
    return report_.tables().back().rows[row][column];
  }

  FakeBench fake_;
  Report report_;
};

TEST_F(MeasurementsTest, TimesAllSingleLayers) {
  const absl::Status status =
      MeasureSingleLayers(fake_.With(nullptr), SmallLayers(), report_);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(report_.tables().size(), 1u);
  ASSERT_EQ(report_.tables()[0].rows.size(), 2u * 3u);
  for (const auto& row : report_.tables()[0].rows) {
    for (size_t column : {3, 5, 6, 10}) EXPECT_GT(row[column], 0);
    // Of the peer, who is not there.
    for (size_t column : {4, 8, 9, 11, 12}) {
      EXPECT_TRUE(std::isnan(row[column]));
    }
  }
}

// Each launch takes the fake as long as any other.
TEST_F(MeasurementsTest, FewRowsOfOneAdapterAreOneLaunch) {
  SingleLayers layers = SmallLayers();
  layers.sizes.pop_back();
  ASSERT_TRUE(MeasureSingleLayers(fake_.With(nullptr), layers, report_).ok());
  EXPECT_NEAR(At(0, 6), At(0, 3), 1e-3);      // one row: the base alone
  EXPECT_NEAR(At(0, 5), 3 * At(0, 3), 1e-3);  // cuBLASLt takes three
  EXPECT_NEAR(At(2, 6), 3 * At(2, 3), 1e-3);  // as do own kernels for 40 rows
}

TEST_F(MeasurementsTest, TimesStepsOfOneAdapterAndOfMany) {
  const absl::Status status =
      MeasureDecodeSteps(fake_.With(nullptr), SmallSteps(), report_);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(report_.tables().back().rows.size(), 3u);
  EXPECT_NEAR(At(0, 3), 2 * 7, 1e-3);  // two layers of seven products
  EXPECT_NEAR(At(0, 6), 2 * 7, 1e-3);
  EXPECT_EQ(At(2, 1), 4);
  EXPECT_EQ(At(2, 2), 2);
  EXPECT_TRUE(std::isnan(At(2, 5)));  // not by cuBLASLt alone
  EXPECT_NEAR(At(2, 6), 2 * 7, 1e-3);
}

TEST_F(MeasurementsTest, TimesGroupsOfRows) {
  RowGroups groups;
  groups.size = 64;
  groups.rank = 8;
  groups.adapters = 3;
  groups.rows = {5, 20};
  const absl::Status status =
      MeasureRowGroups(fake_.With(nullptr), groups, report_);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(report_.tables().back().rows.size(), 2u);
  EXPECT_NEAR(At(1, 1), 1, 1e-3);
  EXPECT_NEAR(At(1, 2), 3, 1e-3);
  EXPECT_NEAR(At(1, 3), 3, 1e-3);
  EXPECT_EQ(At(1, 4), 2);
}

TEST_F(MeasurementsTest, TimesASwitch) {
  const absl::Status status =
      MeasureSwitch(fake_.With(nullptr), SmallSteps(), report_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GT(At(0, 2), 0);
  EXPECT_GT(At(0, 3), 0);
}

TEST_F(MeasurementsTest, EachBoundIsJudged) {
  const CudaBench bench = fake_.With(nullptr);
  ASSERT_TRUE(MeasureSingleLayers(bench, SmallLayers(), report_).ok());
  ASSERT_TRUE(MeasureDecodeSteps(bench, SmallSteps(), report_).ok());
  ASSERT_TRUE(MeasureSwitch(bench, SmallSteps(), report_).ok());
  EXPECT_EQ(report_.bounds().size(), 3u + 3u + 2u + 1u);
  EXPECT_TRUE(report_.bounds()[0].met());
  EXPECT_TRUE(std::isnan(report_.bounds()[1].measured));  // no peer
}

// Where weights do not fit, layers share them.
TEST_F(MeasurementsTest, SaysHowManyLayersHaveWeightsOfTheirOwn) {
  DecodeSteps steps = SmallSteps();
  steps.rows = {1};
  BenchMemory memory;
  const CudaBench bench = fake_.With(nullptr);
  const auto free =
      static_cast<int64_t>(fake_.device().fake_cuda()->free_bytes());
  ASSERT_TRUE(memory.Allocate(bench, free - (450 << 10)).ok());
  steps.layers = 5;
  const absl::Status status = MeasureDecodeSteps(bench, steps, report_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GT(At(0, 2), 0);
  EXPECT_LT(At(0, 2), 5);
  EXPECT_NEAR(At(0, 3), 5 * 7, 1e-3);
}

// Whose adapter does nothing.
class WrongSide : public Side {
 public:
  explicit WrongSide(const LayerInputs& inputs) : inputs_(inputs) {}

  absl::Status Run() override { return absl::OkStatus(); }
  kernels::cuda::StreamHandle stream() const override { return nullptr; }
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override {
    EXPECT_EQ(what, Computed::kY);
    return static_cast<float>(
        inputs_.ExpectedY(Work::kBase, output, row, col).value);
  }

 private:
  const LayerInputs& inputs_;
};

TEST_F(MeasurementsTest, AWrongResultEndsIt) {
  const CudaBench bench =
      fake_.With([](const LayerInputs& inputs, Work /*work*/) {
        return std::make_unique<WrongSide>(inputs);
      });
  const absl::Status status =
      MeasureSingleLayers(bench, SmallLayers(), report_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("libtorch computes y0"));
  EXPECT_TRUE(report_.tables()[0].rows.empty());
}

}  // namespace
}  // namespace peft
