#include "peft_cc/models/host_strides.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Strides = std::vector<int64_t>;

// A weight of `shape` in memory that nobody reads.
Tensor Weight(std::vector<int64_t> shape) {
  static const float memory[64] = {};
  return Tensor(DType::kF32, std::move(shape), memory, nullptr);
}

Tensor Accepted(const Tensor& weight, const Strides& strides,
                bool takes_columns = true) {
  const absl::StatusOr<Tensor> tensor =
      WithStrides("fc", weight, strides, takes_columns);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.value_or(Tensor());
}

void ExpectRefused(const Tensor& weight, const Strides& strides,
                   const std::string& message, bool takes_columns = true) {
  const absl::Status status =
      WithStrides("fc", weight, strides, takes_columns).status();
  EXPECT_EQ(ErrorId(status), error_id::kArgument) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "layer \"fc\"")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
}

TEST(WithStridesTest, RowsMayLieApart) {
  const Tensor weight = Accepted(Weight({3, 2}), {5, 1});
  EXPECT_FALSE(weight.is_by_columns());
  EXPECT_EQ(weight.num_lines(), 3);
  EXPECT_EQ(weight.line_length(), 2);
  EXPECT_EQ(weight.line_stride(), 5);
}

TEST(WithStridesTest, ColumnsMayLieApart) {
  const Tensor weight = Accepted(Weight({3, 2}), {1, 4});
  EXPECT_TRUE(weight.is_by_columns());
  EXPECT_EQ(weight.num_lines(), 2);
  EXPECT_EQ(weight.line_length(), 3);
  EXPECT_EQ(weight.line_stride(), 4);
}

TEST(WithStridesTest, RowsOfAKernelAreWithoutGaps) {
  const Tensor weight = Accepted(Weight({3, 2, 2}), {7, 2, 1}, false);
  EXPECT_EQ(weight.line_length(), 4);
  ExpectRefused(Weight({3, 2, 2}), {9, 4, 1}, "leave gaps", false);
}

TEST(WithStridesTest, StridesWithoutGapsAreContiguous) {
  EXPECT_TRUE(Accepted(Weight({3, 2}), {2, 1}).is_contiguous());
  EXPECT_TRUE(Accepted(Weight({4}), {1}).is_contiguous());
}

TEST(WithStridesTest, AxesOfOneElementHaveAnyStride) {
  EXPECT_TRUE(Accepted(Weight({1, 2}), {0, 1}).is_contiguous());
  EXPECT_EQ(Accepted(Weight({3, 1}), {5, -7}).line_stride(), 5);
  EXPECT_TRUE(Accepted(Weight({1}), {-1}).is_contiguous());
  // One row whose elements are apart is as many columns.
  EXPECT_EQ(Accepted(Weight({1, 2}), {0, 9}).line_stride(), 9);
}

TEST(WithStridesTest, ColumnsAreRefusedWhereRowsAreRead) {
  ExpectRefused(Weight({3, 2}), {1, 3}, "rows without gaps", false);
}

TEST(WithStridesTest, RepeatedElementsAreRefused) {
  ExpectRefused(Weight({3, 2}), {0, 1}, "[0, 1] repeat the elements of axis 0");
}

TEST(WithStridesTest, ReversedElementsAreRefused) {
  ExpectRefused(Weight({3, 2}), {2, -1}, "reverse the elements of axis 1");
}

TEST(WithStridesTest, LinesThatOverlapAreRefused) {
  ExpectRefused(Weight({3, 2}), {1, 1}, "overlap");
  ExpectRefused(Weight({3, 4}), {3, 1}, "at least 4 apart");
  ExpectRefused(Weight({3, 4}), {1, 2}, "at least 3 apart");
}

TEST(WithStridesTest, GapsWithinALineAreRefused) {
  ExpectRefused(Weight({3, 2}), {4, 2}, "leave gaps");
  ExpectRefused(Weight({3}), {2}, "leave gaps");
}

class CheckWritableTest : public testing::Test {
 protected:
  // A matrix of `rows` rows of 2 floats, `stride` apart, from `first` on.
  Site SiteAt(const std::string& name, int64_t first, int64_t rows,
              int64_t stride, bool is_writable) {
    Site site;
    site.name = name;
    site.weight = Tensor::InLines(DType::kF32, {rows, 2}, memory_ + first,
                                  nullptr, Tensor::Lines::kRows, stride);
    site.is_writable = is_writable;
    return site;
  }

  void ExpectShared(const std::vector<Site>& sites, const std::string& name) {
    const absl::Status status = CheckWritable(sites);
    EXPECT_EQ(ErrorId(status), error_id::kArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "with \"" + name + "\""))
        << status;
  }

  const float memory_[64] = {};
};

TEST_F(CheckWritableTest, RowsMayLieBetweenThoseOfAnother) {
  EXPECT_TRUE(
      CheckWritable({SiteAt("a", 0, 4, 6, true), SiteAt("b", 2, 4, 6, true),
                     SiteAt("c", 4, 4, 6, false)})
          .ok());
}

TEST_F(CheckWritableTest, RowsThatMeetAreRefused) {
  ExpectShared({SiteAt("a", 0, 4, 6, true), SiteAt("b", 1, 4, 6, false)}, "a");
  ExpectShared({SiteAt("a", 0, 4, 6, false), SiteAt("b", 5, 4, 6, true)}, "a");
}

TEST_F(CheckWritableTest, RowsOfOtherDistancesMustNotLieBetween) {
  ExpectShared({SiteAt("a", 0, 4, 6, true), SiteAt("b", 2, 3, 7, true)}, "a");
}

TEST_F(CheckWritableTest, EveryLayerThatHasNotEndedIsLookedAt) {
  // "b" ends long before "c" begins, which meets "a".
  ExpectShared({SiteAt("a", 0, 9, 6, true), SiteAt("b", 2, 1, 6, true),
                SiteAt("c", 25, 1, 6, true)},
               "a");
}

TEST_F(CheckWritableTest, OthersMayShare) {
  EXPECT_TRUE(
      CheckWritable({SiteAt("a", 0, 4, 2, false), SiteAt("b", 0, 4, 2, false)})
          .ok());
}

TEST_F(CheckWritableTest, BiasesCount) {
  Site site = SiteAt("a", 0, 4, 2, true);
  Site other;
  other.name = "norm";
  other.bias = Tensor(DType::kF32, {3}, memory_ + 7, nullptr);
  ExpectShared({site, other}, "a");
}

}  // namespace
}  // namespace peft
