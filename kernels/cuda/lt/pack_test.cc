#include "kernels/cuda/lt/pack.h"

#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// An adapter of a layer from 3 to 2, whose A counts up from `first` and whose B
// from its negative.
struct Factors {
  std::vector<float> a;
  std::vector<float> b;
  LowRankSegment segment;

  Factors(int64_t rank, float first, float scale) {
    for (int64_t i = 0; i < rank * 3; ++i) a.push_back(first + i);
    for (int64_t i = 0; i < 2 * rank; ++i) b.push_back(-first - i);
    segment.a = {a.data(), DType::kF32, rank, 3, 3};
    segment.b = {b.data(), DType::kF32, 2, rank, rank};
    segment.scale = scale;
  }
  Factors(const Factors&) = delete;
};

struct Packed {
  absl::Status status;
  std::vector<float> a;
  std::vector<float> b;
  std::vector<float> scales;
};

Packed Pack(const FactorSlot& slot,
            const std::vector<LowRankSegment>& segments) {
  Packed packed;
  // What is not written over will show.
  packed.a.assign(slot.a_bytes() / sizeof(float), 99.0f);
  packed.b.assign(slot.b_bytes() / sizeof(float), 99.0f);
  packed.scales.assign(slot.total_rank(), 99.0f);
  packed.status = PackFactors(slot, segments, packed.a.data(), packed.b.data(),
                              packed.scales.data());
  return packed;
}

TEST(PackTest, RanksArePaddedTo16Bytes) {
  EXPECT_EQ(PaddedRank(4, DType::kBF16), 8);
  EXPECT_EQ(PaddedRank(8, DType::kF16), 8);
  EXPECT_EQ(PaddedRank(9, DType::kBF16), 16);
  EXPECT_EQ(PaddedRank(5, DType::kF32), 8);
}

TEST(PackTest, StacksAAndLaysBSideBySide) {
  const Factors one(1, 1, 0.5f);
  const Factors two(2, 10, 2.0f);
  const FactorSlot slot = {DType::kF32, 3, 2, {2, 2}};
  const Packed packed = Pack(slot, {one.segment, two.segment});
  ASSERT_TRUE(packed.status.ok()) << packed.status;
  EXPECT_EQ(packed.a,
            (std::vector<float>{1, 2, 3, 0, 0, 0, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(packed.b, (std::vector<float>{-1, 0, -10, -11, -2, 0, -12, -13}));
  EXPECT_EQ(packed.scales, (std::vector<float>{0.5f, 0, 2, 2}));
}

TEST(PackTest, PlacesWithoutAnAdapterAreZero) {
  const Factors one(1, 1, 1.0f);
  const FactorSlot slot = {DType::kF32, 3, 2, {1, 1}};
  const Packed packed = Pack(slot, {one.segment});
  EXPECT_EQ(packed.a, (std::vector<float>{1, 2, 3, 0, 0, 0}));
  EXPECT_EQ(packed.b, (std::vector<float>{-1, 0, -2, 0}));
  EXPECT_EQ(packed.scales, (std::vector<float>{1, 0}));
}

TEST(PackTest, ScalesOfRanksAreMultiplied) {
  Factors one(2, 1, 3.0f);
  const std::vector<float> rank_scale = {2, 5};
  one.segment.rank_scale = {rank_scale.data(), DType::kF32, 2};
  const FactorSlot slot = {DType::kF32, 3, 2, {2}};
  EXPECT_EQ(Pack(slot, {one.segment}).scales, (std::vector<float>{6, 15}));
}

TEST(PackTest, ScalesCanBeFoldedIntoB) {
  Factors one(2, 1, 3.0f);
  const std::vector<float> rank_scale = {2, 5};
  one.segment.rank_scale = {rank_scale.data(), DType::kF32, 2};
  FactorSlot slot = {DType::kF32, 3, 2, {3}};
  slot.fold_scales = true;
  const Packed packed = Pack(slot, {one.segment});
  EXPECT_EQ(packed.a, (std::vector<float>{1, 2, 3, 4, 5, 6, 0, 0, 0}));
  EXPECT_EQ(packed.b, (std::vector<float>{-6, -30, 0, -18, -60, 0}));
  EXPECT_EQ(packed.scales, (std::vector<float>{1, 1, 1}));
}

TEST(PackTest, ConvertsToTheSlotsDType) {
  const Factors one(1, 1.00390625f, 1.0f);  // half a step of BF16 above 1
  const FactorSlot slot = {DType::kBF16, 3, 2, {1}};
  std::vector<uint16_t> a(3);
  std::vector<uint16_t> b(2);
  float scale = 0;
  ASSERT_TRUE(
      PackFactors(slot, {one.segment}, a.data(), b.data(), &scale).ok());
  EXPECT_EQ(BF16ToF32(a[0]), 1.0f);
  EXPECT_EQ(BF16ToF32(b[0]), -1.0f);
}

TEST(PackTest, RefusesWhatDoesNotFit) {
  const Factors wide(3, 1, 1.0f);
  const Factors one(1, 1, 1.0f);
  constexpr auto kWrong = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(Pack({DType::kF32, 3, 2, {2}}, {wide.segment}).status.code(),
            kWrong);
  EXPECT_EQ(Pack({DType::kF32, 4, 2, {2}}, {one.segment}).status.code(),
            kWrong);
  EXPECT_EQ(Pack({DType::kF32, 3, 1, {2}}, {one.segment}).status.code(),
            kWrong);
  EXPECT_EQ(
      Pack({DType::kF32, 3, 2, {2}}, {one.segment, one.segment}).status.code(),
      kWrong);
}

TEST(PackTest, RefusesGates) {
  Factors one(1, 1, 1.0f);
  one.segment.gate = 0;
  EXPECT_EQ(Pack({DType::kF32, 3, 2, {1}}, {one.segment}).status.code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
