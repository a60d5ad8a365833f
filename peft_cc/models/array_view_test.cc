#include "peft_cc/models/array_view.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::optional<ArrayRows> Rows(const std::vector<int64_t>& sizes,
                              const std::vector<int64_t>& strides,
                              int row_axes = 1) {
  return RowsOf({DType::kF32, sizes, strides, nullptr}, row_axes);
}

TEST(RowsOf, ContiguousArraysNeedNoStrides) {
  const auto rows = Rows({2, 3, 4}, {});
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows->rows, 6);
  EXPECT_EQ(rows->cols, 4);
  EXPECT_EQ(rows->stride, 4);
  EXPECT_EQ(rows->extent(), 24);
}

TEST(RowsOf, RowsMayLieApartRegularly) {
  const auto rows = Rows({2, 3, 4}, {30, 10, 1});
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows->stride, 10);
  EXPECT_EQ(rows->extent(), 54);
  EXPECT_FALSE(Rows({2, 3, 4}, {31, 10, 1}).has_value());
}

TEST(RowsOf, AxesOfOneElementDoNotMatter) {
  const auto rows = Rows({1, 3, 1, 4}, {-7, 4, 99, 1});
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows->stride, 4);
  EXPECT_TRUE(Rows({3, 1}, {5, 77}).has_value());
}

TEST(RowsOf, ElementsOfARowLieTogether) {
  EXPECT_FALSE(Rows({2, 3}, {1, 2}).has_value());
  EXPECT_FALSE(Rows({2, 3}, {3, -1}).has_value());
  EXPECT_FALSE(Rows({2, 3, 4}, {12, 5, 1}, 2).has_value());
  EXPECT_TRUE(Rows({2, 3, 4}, {20, 4, 1}, 2).has_value());
}

TEST(RowsOf, RowsDoNotOverlapNorOverflow) {
  EXPECT_FALSE(Rows({2, 3}, {2, 1}).has_value());
  EXPECT_FALSE(Rows({2, 3}, {0, 1}).has_value());
  EXPECT_FALSE(Rows({2, 3}, {-3, 1}).has_value());
  EXPECT_FALSE(Rows({2, 3}, {kMax, 1}).has_value());
}

TEST(RowsOf, NothingIsAlwaysRows) {
  EXPECT_TRUE(Rows({0, 3}, {-5, -5}).has_value());
  EXPECT_EQ(Rows({}, {}, 0)->rows, 1);
}

TEST(RowsToF32, ConvertsRowsThatLieApartAndBack) {
  const std::vector<int64_t> sizes = {2, 2};
  const std::vector<int64_t> strides = {3, 1};
  uint16_t bits[6] = {0x3f80, 0x4000, 7, 0x4040, 0x4080, 7};
  const ArrayView view = {DType::kBF16, sizes, strides, bits};
  const ArrayRows rows = *RowsOf(view, 1);
  float values[4] = {};
  RowsToF32(view, rows, values);
  EXPECT_EQ(std::vector<float>(values, values + 4),
            std::vector<float>({1, 2, 3, 4}));
  values[3] = 1;
  RowsFromF32(values, rows, view);
  EXPECT_EQ(std::vector<uint16_t>(bits, bits + 6),
            std::vector<uint16_t>({0x3f80, 0x4000, 7, 0x4040, 0x3f80, 7}));
}

TEST(Overlap, IsASharedByte) {
  const float memory[4] = {};
  const ArrayView a = {DType::kF32, {}, {}, memory};
  const ArrayView b = {DType::kF32, {}, {}, memory + 2};
  EXPECT_FALSE(Overlap(a, 2, b, 2));
  EXPECT_TRUE(Overlap(a, 3, b, 1));
  EXPECT_TRUE(Overlap(b, 1, a, 3));
  EXPECT_FALSE(Overlap(a, 0, a, 4));
}

}  // namespace
}  // namespace peft
