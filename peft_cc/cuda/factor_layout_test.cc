#include "peft_cc/cuda/factor_layout.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr float kBias[] = {1, 2, 3};

Site LinearSite(std::string name, int64_t in, int64_t out) {
  Site site;
  site.name = std::move(name);
  site.in_features = in;
  site.out_features = out;
  return site;
}

class FactorLayoutTest : public testing::Test {
 protected:
  FactorLayoutTest() {
    Site biased = LinearSite("a", 2, 3);
    biased.bias = Tensor(DType::kF32, {3}, kBias, nullptr);
    Site norm = LinearSite("norm", 7, 7);
    norm.kind = SiteKind::kNorm;
    sites_ = SiteTable({biased, norm, LinearSite("b", 100, 5)},
                       {"a", "norm", "b"}, "");
  }

  std::vector<float> At(const std::vector<char>& block, size_t offset,
                        size_t count) const {
    std::vector<float> values(count);
    std::memcpy(values.data(), block.data() + offset, count * sizeof(float));
    return values;
  }

  SiteTable sites_;
};

TEST_F(FactorLayoutTest, VectorsDoNotOverlapAndAreAligned) {
  const FactorLayout layout(sites_, DType::kBF16);
  size_t end = 0;
  for (const int site : {0, 2}) {
    const FactorOffsets& at = layout.at(site);
    for (const size_t offset : {at.in_scale, at.out_scale, at.bias,
                                at.bias_change, at.bias_in_dtype}) {
      EXPECT_EQ(offset % 256, 0u);
      EXPECT_GE(offset, end);
      end = offset + 1;
    }
  }
  // 100 floats take two units, everything else one.
  EXPECT_EQ(layout.bytes(), (5 + 6) * 256u);
}

TEST_F(FactorLayoutTest, WhatAPlanLacksActsAsNothing) {
  const FactorLayout layout(sites_, DType::kF32);
  std::vector<char> block(layout.bytes());
  kernels::LinearPlan plan;
  plan.bias = {kBias, DType::kF32, 3};
  layout.Fill(sites_.sites()[0], 0, plan, block.data());
  const FactorOffsets& at = layout.at(0);
  EXPECT_EQ(At(block, at.in_scale, 2), std::vector<float>({1, 1}));
  EXPECT_EQ(At(block, at.out_scale, 3), std::vector<float>({1, 1, 1}));
  EXPECT_EQ(At(block, at.bias, 3), std::vector<float>({1, 2, 3}));
  EXPECT_EQ(At(block, at.bias_in_dtype, 3), std::vector<float>({1, 2, 3}));
  EXPECT_EQ(At(block, at.bias_change, 3), std::vector<float>({0, 0, 0}));
}

TEST_F(FactorLayoutTest, FactorsAndTheChangeOfTheBiasAreWritten) {
  const FactorLayout layout(sites_, DType::kF32);
  std::vector<char> block(layout.bytes());
  const float in_scale[] = {2, 3};
  const float out_scale[] = {4, 5, 6};
  const float bias[] = {10, 0, 3};
  kernels::LinearPlan plan;
  plan.in_scale = {in_scale, DType::kF32, 2};
  plan.stages.resize(1);
  plan.stages[0].out_scale = {out_scale, DType::kF32, 3};
  plan.bias = {bias, DType::kF32, 3};
  layout.Fill(sites_.sites()[0], 0, plan, block.data());
  const FactorOffsets& at = layout.at(0);
  EXPECT_EQ(At(block, at.in_scale, 2), std::vector<float>({2, 3}));
  EXPECT_EQ(At(block, at.out_scale, 3), std::vector<float>({4, 5, 6}));
  EXPECT_EQ(At(block, at.bias, 3), std::vector<float>({10, 0, 3}));
  EXPECT_EQ(At(block, at.bias_change, 3), std::vector<float>({9, -2, 0}));
}

TEST_F(FactorLayoutTest, OtherLayersHaveNone) {
  const FactorLayout layout(sites_, DType::kF32);
  std::vector<char> block(layout.bytes(), 7);
  layout.Fill(sites_.sites()[1], 1, {}, block.data());
  EXPECT_EQ(block, std::vector<char>(layout.bytes(), 7));
}

}  // namespace
}  // namespace peft
