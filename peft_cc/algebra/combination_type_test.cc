#include "peft_cc/algebra/combination_type.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

TEST(CombinationTypeTest, NamesArePefts) {
  EXPECT_EQ(*ParseCombinationType("linear"), CombinationType::kLinear);
  EXPECT_EQ(*ParseCombinationType("cat"), CombinationType::kCat);
  EXPECT_EQ(*ParseCombinationType("dare_ties_svd"),
            CombinationType::kDareTiesSvd);
  EXPECT_EQ(*ParseCombinationType("magnitude_prune_svd"),
            CombinationType::kMagnitudePruneSvd);
}

TEST(CombinationTypeTest, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const absl::Status status = ParseCombinationType("sum").status();
  EXPECT_EQ(ErrorId(status), error_id::kArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "linear, cat, svd"));
  EXPECT_EQ(ErrorId(ParseMajoritySignMethod("most").status()),
            error_id::kArgument);
}

TEST(CombinationTypeTest, DareTypesAreRandom) {
  EXPECT_TRUE(IsRandomCombination(CombinationType::kDareLinear));
  EXPECT_TRUE(IsRandomCombination(CombinationType::kDareTiesSvd));
  EXPECT_FALSE(IsRandomCombination(CombinationType::kTiesSvd));
}

TEST(CombinationTypeTest, RanksOfFactorTypesMustBeEqual) {
  EXPECT_EQ(*CombinedRank(CombinationType::kTies, {4, 4}, std::nullopt), 4);
  EXPECT_EQ(ErrorId(CombinedRank(CombinationType::kLinear, {4, 8}, std::nullopt)
                        .status()),
            error_id::kAdapterNotCombinable);
}

TEST(CombinationTypeTest, CatAddsRanksAndSvdTakesTheLargestOrTheAskedFor) {
  EXPECT_EQ(*CombinedRank(CombinationType::kCat, {4, 8}, std::nullopt), 12);
  EXPECT_EQ(*CombinedRank(CombinationType::kSvd, {4, 8}, std::nullopt), 8);
  EXPECT_EQ(*CombinedRank(CombinationType::kTiesSvd, {4, 8}, 3), 3);
}

TEST(CombinationTypeTest, RanksMustBeAbove0) {
  EXPECT_FALSE(CombinedRank(CombinationType::kSvd, {}, 4).ok());
  EXPECT_FALSE(CombinedRank(CombinationType::kCat, {4, 0}, 4).ok());
  EXPECT_FALSE(CombinedRank(CombinationType::kSvd, {4}, 0).ok());
}

}  // namespace
}  // namespace peft
