// Errors and properties; weighted_lora_oracle_test.py compares with PEFT.
#include "peft_cc/algebra/weighted_lora.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/low_rank_fit.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Tensor Normal(std::vector<int64_t> shape, uint64_t seed) {
  return *MakeF32Tensor(std::move(shape), [&](absl::Span<float> out) {
    TorchGenerator(seed).Normal(0, 1, out);
  });
}

CombinationSource Source(int64_t r, uint64_t seed, double weight = 1) {
  return {Normal({r, 6}, seed), Normal({5, r}, seed + 100), weight, 0.5};
}

CombinationOptions Options(CombinationType type, int64_t rank) {
  CombinationOptions options;
  options.type = type;
  options.rank = rank;
  return options;
}

absl::StatusOr<LoraFactors> Combine(
    const CombinationOptions& options,
    const std::vector<CombinationSource>& sources) {
  TorchGenerator generator(1);
  return CombineLora(options, sources, generator);
}

// weight * scale * B A, summed over the sources: (5, 6).
std::vector<double> SumOfProducts(
    const std::vector<CombinationSource>& sources) {
  std::vector<double> sum(30);
  for (const CombinationSource& source : sources) {
    const std::vector<float> a = source.a.ToF32(), b = source.b.ToF32();
    const int64_t r = source.a.dim(0);
    for (int64_t i = 0; i < 30; ++i) {
      for (int64_t k = 0; k < r; ++k) {
        sum[i] +=
            source.weight * source.scale * b[i / 6 * r + k] * a[k * 6 + i % 6];
      }
    }
  }
  return sum;
}

void ExpectSameSum(const LoraFactors& factors,
                   const std::vector<CombinationSource>& sources) {
  const std::vector<double> found =
      SumOfProducts({{factors.a, factors.b, 1, 1}});
  const std::vector<double> expected = SumOfProducts(sources);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-5);
  }
}

TEST(WeightedLoraTest, CatAndSvdOfSufficientRankAreExactSums) {
  const std::vector<CombinationSource> sources = {Source(2, 1, 0.7),
                                                  Source(3, 2, -1.5)};
  for (const CombinationType type :
       {CombinationType::kCat, CombinationType::kSvd}) {
    const LoraFactors factors = *Combine(Options(type, 5), sources);
    EXPECT_EQ(factors.a.dim(0), 5);
    ExpectSameSum(factors, sources);
  }
}

TEST(WeightedLoraTest, RanksAboveWhatALayerNeedsAreFilledWithZeros) {
  const std::vector<CombinationSource> sources = {Source(2, 1)};
  for (const CombinationType type :
       {CombinationType::kCat, CombinationType::kSvd}) {
    const LoraFactors factors = *Combine(Options(type, 9), sources);
    EXPECT_EQ(factors.a.dim(0), 9);
    EXPECT_EQ(factors.b.dim(1), 9);
    EXPECT_EQ(factors.a.ToF32()[9 * 6 - 1], 0);
    ExpectSameSum(factors, sources);
  }
}

TEST(WeightedLoraTest, LinearOfOneNegativeSourceKeepsItsSign) {
  const std::vector<CombinationSource> sources = {Source(2, 1, -0.7)};
  ExpectSameSum(*Combine(Options(CombinationType::kLinear, 2), sources),
                sources);
}

TEST(WeightedLoraTest, DeltasInFullGiveWhatTheirFactorsGive) {
  const std::vector<CombinationSource> sources = {Source(2, 1, 0.7),
                                                  Source(2, 2, -1.5)};
  std::vector<Tensor> deltas;
  for (CombinationSource source : sources) {
    source.weight = 1;
    const std::vector<double> delta = SumOfProducts({source});
    deltas.push_back(*MakeF32Tensor({5, 6}, [&](absl::Span<float> out) {
      std::copy(delta.begin(), delta.end(), out.begin());
    }));
  }
  TorchGenerator generator(1);
  ExpectSameSum(*CombineDeltas(Options(CombinationType::kSvd, 4), deltas,
                               {0.7, -1.5}, generator),
                sources);
}

TEST(WeightedLoraTest, ACatThatDoesNotFitTheRankIsRefused) {
  EXPECT_EQ(ErrorId(Combine(Options(CombinationType::kCat, 3),
                            {Source(2, 1), Source(2, 2)})
                        .status()),
            error_id::kArgument);
}

TEST(WeightedLoraTest, ShapesThatDifferAreRefused) {
  CombinationSource other = Source(2, 2);
  other.a = Normal({2, 7}, 3);
  for (const CombinationType type :
       {CombinationType::kLinear, CombinationType::kCat,
        CombinationType::kSvd}) {
    EXPECT_EQ(
        ErrorId(Combine(Options(type, 4), {Source(2, 1), other}).status()),
        error_id::kArgument);
    EXPECT_EQ(ErrorId(Combine(Options(type, 4), {}).status()),
              error_id::kArgument);
  }
  EXPECT_EQ(ErrorId(Combine(Options(CombinationType::kLinear, 3),
                            {Source(2, 1), Source(3, 2)})
                        .status()),
            error_id::kArgument);
}

TEST(WeightedLoraTest, GroupedConvolutionsCombineOnTheirFactorsOnly) {
  const CombinationSource grouped = {Normal({4, 3, 2}, 1), Normal({6, 2, 1}, 2),
                                     1, 1};
  EXPECT_EQ(Combine(Options(CombinationType::kLinear, 4), {grouped})->b.shape(),
            grouped.b.shape());
  for (const CombinationType type :
       {CombinationType::kCat, CombinationType::kSvd}) {
    EXPECT_EQ(ErrorId(Combine(Options(type, 4), {grouped}).status()),
              error_id::kArgument);
  }
}

// A has a block of rows for each group, and B the columns for one.
TEST(WeightedLoraTest, RanksOfGroupsAreFilledUpGroupByGroup) {
  const CombinationSource grouped = {Normal({4, 3, 2}, 1), Normal({6, 2, 1}, 2),
                                     1, 1};
  const LoraFactors factors =
      *Combine(Options(CombinationType::kLinear, 6), {grouped});
  const std::vector<float> from = grouped.a.ToF32(), a = factors.a.ToF32();
  for (int group = 0; group < 2; ++group) {
    for (int i = 0; i < 18; ++i) {
      EXPECT_EQ(a[18 * group + i], i < 12 ? from[12 * group + i] : 0);
    }
  }
  EXPECT_EQ(factors.b.shape(), (std::vector<int64_t>{6, 3, 1}));
  EXPECT_EQ(factors.b.ToF32()[2], 0);
  EXPECT_FALSE(Combine(Options(CombinationType::kLinear, 5), {grouped}).ok());
}

TEST(WeightedLoraTest, FactorsThatDoNotMeetAreRefused) {
  const CombinationSource source = {Normal({3, 6}, 1), Normal({5, 2}, 2), 1, 1};
  EXPECT_EQ(
      ErrorId(Combine(Options(CombinationType::kLinear, 3), {source}).status()),
      error_id::kArgument);
}

TEST(WeightedLoraTest, WeightsThatAreNotFiniteAreRefused) {
  EXPECT_FALSE(
      Combine(Options(CombinationType::kLinear, 2), {Source(2, 1, NAN)}).ok());
  EXPECT_FALSE(
      Combine(Options(CombinationType::kSvd, 2), {Source(2, 1, INFINITY)})
          .ok());
}

TEST(WeightedLoraTest, AClampOutsideOf0To1IsRefused) {
  CombinationOptions options = Options(CombinationType::kSvd, 2);
  for (const double clamp : {-0.1, 1.1, static_cast<double>(NAN)}) {
    options.svd_clamp = clamp;
    EXPECT_EQ(ErrorId(Combine(options, {Source(2, 1)}).status()),
              error_id::kArgument);
  }
}

TEST(WeightedLoraTest, Ia3VectorsAreSummedWithTheirWeights) {
  const Tensor ones = *MakeF32Tensor(
      {3, 1}, [](absl::Span<float> out) { out[0] = out[1] = out[2] = 1; });
  EXPECT_EQ(CombineIa3({ones, ones}, {2, -0.5})->ToF32(),
            (std::vector<float>{1.5, 1.5, 1.5}));
  EXPECT_FALSE(CombineIa3({ones}, {2, 1}).ok());
  EXPECT_FALSE(CombineIa3({}, {}).ok());
}

TEST(QuantileTest, LiesBetweenNeighbours) {
  EXPECT_EQ(Quantile({3, 1, 2}, 0), 1);
  EXPECT_EQ(Quantile({3, 1, 2}, 1), 3);
  EXPECT_FLOAT_EQ(Quantile({3, 1, 2}, 0.75), 2.5);
  EXPECT_EQ(Quantile({7}, 0.3), 7);
}

}  // namespace
}  // namespace peft
