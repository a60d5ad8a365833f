// weighted_lora_oracle_test.py compares with PEFT on random factors.
#include "peft_cc/algebra/merge_operators.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Elements = std::vector<float>;

MergeOptions Options(MergeOperator op, std::optional<double> density = 1) {
  return {op, density, MajoritySignMethod::kTotal};
}

Elements Merge(const MergeOptions& options, std::vector<Elements> tensors,
               Elements weights) {
  TorchGenerator generator(1);
  return *MergeElements(options, std::move(tensors), weights, generator);
}

std::string FailureId(const MergeOptions& options,
                      std::vector<Elements> tensors, Elements weights) {
  TorchGenerator generator(1);
  return ErrorId(
      MergeElements(options, std::move(tensors), weights, generator).status());
}

TEST(MergeOperatorsTest, TaskArithmeticIsTheWeightedSum) {
  EXPECT_EQ(Merge(Options(MergeOperator::kTaskArithmetic, std::nullopt),
                  {{1, 2}, {3, -4}}, {2, -1}),
            (Elements{-1, 8}));
}

TEST(MergeOperatorsTest, MagnitudePruneRoundsTheCountDown) {
  EXPECT_EQ(Merge(Options(MergeOperator::kMagnitudePrune, 0.79),
                  {{0.5, -3, 2, 1}}, {1}),
            (Elements{0, -3, 2, 1}));
  EXPECT_EQ(Merge(Options(MergeOperator::kMagnitudePrune, 0.2),
                  {{0.5, -3, 2, 1}}, {1}),
            (Elements{0, 0, 0, 0}));
}

TEST(MergeOperatorsTest, ADensityFrom1OnPrunesAndScalesNothing) {
  for (const MergeOperator op :
       {MergeOperator::kMagnitudePrune, MergeOperator::kDareLinear}) {
    EXPECT_EQ(Merge(Options(op, 7), {{0.5, -3}}, {1}), (Elements{0.5, -3}));
  }
}

TEST(MergeOperatorsTest, TiesAveragesThoseOfTheMajoritySign) {
  // Sums: 2, -1, 0 which counts as positive.
  EXPECT_EQ(Merge(Options(MergeOperator::kTies),
                  {{3, 1, 2}, {1, -3, -2}, {-2, 1, 0}}, {1, 1, 1}),
            (Elements{2, -3, 2}));
}

TEST(MergeOperatorsTest, TheMajoritySignIgnoresWeights) {
  EXPECT_EQ(Merge(Options(MergeOperator::kTies), {{3}, {-1}}, {-2, 5}),
            (Elements{-6}));
}

TEST(MergeOperatorsTest, FrequencyCountsSignsAlone) {
  MergeOptions options = Options(MergeOperator::kTies);
  options.majority_sign_method = MajoritySignMethod::kFrequency;
  EXPECT_EQ(Merge(options, {{9}, {-1}, {-3}}, {1, 1, 1}), (Elements{-2}));
}

TEST(MergeOperatorsTest, DareScalesWhatItKeeps) {
  const Elements merged = Merge(Options(MergeOperator::kDareLinear, 0.25),
                                {Elements(1000, 1.0f)}, {1});
  int num_kept = 0;
  for (const float value : merged) {
    EXPECT_TRUE(value == 0 || value == 4) << value;
    num_kept += value != 0;
  }
  EXPECT_NEAR(num_kept, 250, 60);
}

TEST(MergeOperatorsTest, OnlyRandomOperatorsDraw) {
  TorchGenerator generator(1);
  ASSERT_TRUE(MergeElements(Options(MergeOperator::kTies, 0.5), {{1, 2}},
                            {1.0f}, generator)
                  .ok());
  EXPECT_EQ(generator.NextU32(), TorchGenerator(1).NextU32());
}

TEST(MergeOperatorsTest, DensitiesOutOfRangeAreRefused) {
  for (const std::optional<double> density :
       {std::optional<double>(), std::optional<double>(-0.1),
        std::optional<double>(NAN)}) {
    EXPECT_EQ(FailureId(Options(MergeOperator::kTies, density), {{1, 2}}, {1}),
              error_id::kArgument);
  }
  EXPECT_EQ(FailureId(Options(MergeOperator::kDareTies, 0), {{1, 2}}, {1}),
            error_id::kArgument);
}

TEST(MergeOperatorsTest, CountsThatDifferAreRefused) {
  const MergeOptions options = Options(MergeOperator::kTaskArithmetic);
  EXPECT_EQ(FailureId(options, {}, {}), error_id::kArgument);
  EXPECT_EQ(FailureId(options, {{1, 2}}, {1, 1}), error_id::kArgument);
  EXPECT_EQ(FailureId(options, {{1, 2}, {1}}, {1, 1}), error_id::kArgument);
}

}  // namespace
}  // namespace peft
