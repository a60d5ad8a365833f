#include "peft_cc/adapters/placed_weights.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Lines = Tensor::Lines;

constexpr uint16_t kGap = 0xdead;

// A (rows, cols) matrix of 16-bit elements, `first` and so on in row-major
// order, and its memory, in which kGap lies between lines.
struct Matrix {
  Matrix(int64_t rows, int64_t cols, Lines lines, int64_t stride,
         uint16_t first)
      : memory((lines == Lines::kRows ? rows : cols) * stride, kGap) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        memory[lines == Lines::kRows ? i * stride + j : j * stride + i] =
            static_cast<uint16_t>(first + i * cols + j);
      }
    }
    tensor = Tensor::InLines(DType::kBF16, {rows, cols}, memory.data(), nullptr,
                             lines, stride);
  }

  std::vector<uint16_t> Elements() const {
    std::vector<uint16_t> elements(tensor.num_elements());
    tensor.CopyTo(elements.data());
    return elements;
  }

  int64_t NumGaps() const {
    return std::count(memory.begin(), memory.end(), kGap);
  }

  std::vector<uint16_t> memory;
  Tensor tensor;
};

void ExpectExchanges(Matrix site, Matrix kept) {
  const std::vector<uint16_t> site_memory = site.memory;
  const std::vector<uint16_t> kept_memory = kept.memory;
  const std::vector<uint16_t> site_elements = site.Elements();
  const std::vector<uint16_t> kept_elements = kept.Elements();
  const int64_t gaps = site.NumGaps();
  PlacedWeights placed;
  placed.Add(site.tensor, kept.tensor);
  placed.Exchange();
  EXPECT_EQ(site.Elements(), kept_elements);
  EXPECT_EQ(kept.Elements(), site_elements);
  EXPECT_EQ(site.NumGaps(), gaps);
  placed.Exchange();
  EXPECT_EQ(site.memory, site_memory);
  EXPECT_EQ(kept.memory, kept_memory);
}

TEST(PlacedWeightsTest, ExchangesContiguousElements) {
  ExpectExchanges({3, 5, Lines::kRows, 5, 100}, {3, 5, Lines::kRows, 5, 200});
}

TEST(PlacedWeightsTest, LeavesWhatLiesBetweenRows) {
  ExpectExchanges({3, 5, Lines::kRows, 9, 100}, {3, 5, Lines::kRows, 5, 200});
}

TEST(PlacedWeightsTest, LeavesWhatLiesBetweenColumns) {
  ExpectExchanges({3, 5, Lines::kColumns, 4, 100},
                  {3, 5, Lines::kColumns, 3, 200});
}

// A module that replaces one whose weight is stored by columns.
TEST(PlacedWeightsTest, ExchangesRowsWithColumns) {
  ExpectExchanges({3, 5, Lines::kColumns, 7, 100},
                  {3, 5, Lines::kRows, 5, 200});
}

TEST(PlacedWeightsTest, ASingleRowOrColumnIsNoSpecialCase) {
  ExpectExchanges({1, 5, Lines::kColumns, 3, 100},
                  {1, 5, Lines::kRows, 5, 200});
  ExpectExchanges({5, 1, Lines::kRows, 3, 100}, {5, 1, Lines::kRows, 1, 200});
}

TEST(PlacedWeightsTest, IsEmptyUntilSomethingIsAdded) {
  PlacedWeights placed;
  EXPECT_TRUE(placed.empty());
  placed.Exchange();
  const Matrix matrix(2, 2, Lines::kRows, 2, 0);
  placed.Add(matrix.tensor, matrix.tensor);
  EXPECT_FALSE(placed.empty());
}

Tensor Vector(std::vector<float>& values) {
  return Tensor(DType::kF32, {static_cast<int64_t>(values.size())},
                values.data(), nullptr);
}

// A writable layer "a" and another one "b", of (1, 2), both with a bias, and
// what they are merged into.
class PlaceWeightsTest : public testing::Test {
 protected:
  static Tensor Row(std::vector<float>& values) {
    return Tensor(DType::kF32, {1, 2}, values.data(), nullptr);
  }

  Site MakeSite(const std::string& name, bool is_writable) {
    Site site;
    site.name = name;
    site.weight = Row(weight_);
    site.bias = Vector(bias_);
    site.is_writable = is_writable;
    return site;
  }

  absl::StatusOr<Placement> Place(std::vector<Site> sites,
                                  BaseOverlay::Weights merged) {
    sites_ = SiteTable(std::move(sites), {}, "");
    auto overlay = std::make_shared<BaseOverlay>();
    overlay->sites[0] = std::move(merged);
    merged_ = overlay;
    return PlaceWeights(sites_, std::move(overlay));
  }

  std::vector<float> weight_ = {1, 2};
  std::vector<float> bias_ = {3};
  std::vector<float> merged_weight_ = {10, 20};
  std::vector<float> merged_bias_ = {30};
  SiteTable sites_;
  std::shared_ptr<const BaseOverlay> merged_;
};

TEST_F(PlaceWeightsTest, NothingIsWrittenBeforeTheExchange) {
  absl::StatusOr<Placement> placement =
      Place({MakeSite("a", true)}, {Row(merged_weight_), Vector(merged_bias_)});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(weight_[0], 1);
  placement->placed.Exchange();
  EXPECT_EQ(weight_[0], 10);
  EXPECT_EQ(bias_[0], 30);
}

TEST_F(PlaceWeightsTest, TheOverlayHasTheSitesOwnMemory) {
  const absl::StatusOr<Placement> placement =
      Place({MakeSite("a", true)}, {Row(merged_weight_), Vector(merged_bias_)});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->overlay->sites.at(0).weight.data(), weight_.data());
  EXPECT_EQ(placement->originals->sites.at(0).weight.data(),
            merged_weight_.data());
}

TEST_F(PlaceWeightsTest, OtherSitesStayAsTheyWereMerged) {
  const absl::StatusOr<Placement> placement = Place(
      {MakeSite("b", false)}, {Row(merged_weight_), Vector(merged_bias_)});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->overlay, merged_);
  EXPECT_EQ(placement->originals, nullptr);
  EXPECT_TRUE(placement->placed.empty());
}

TEST_F(PlaceWeightsTest, AWeightThatIsNotChangedIsNotExchanged) {
  const absl::StatusOr<Placement> placement =
      Place({MakeSite("a", true)}, {Row(weight_), Vector(bias_)});
  ASSERT_TRUE(placement.ok());
  EXPECT_TRUE(placement->placed.empty());
}

TEST_F(PlaceWeightsTest, ABiasThatComesOrGoesIsRefused) {
  const absl::Status gone =
      Place({MakeSite("a", true)}, {Row(merged_weight_), {}}).status();
  EXPECT_EQ(ErrorId(gone), error_id::kAdapterNotMergeable) << gone;
  Site site = MakeSite("a", true);
  site.bias = Tensor();
  const absl::Status comes =
      Place({site}, {Row(merged_weight_), Vector(merged_bias_)}).status();
  EXPECT_EQ(ErrorId(comes), error_id::kAdapterNotMergeable) << comes;
}

}  // namespace
}  // namespace peft
