#include "peft_cc/adapters/probe.h"

#include <cmath>
#include <utility>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kEmbedding[] = "model.embed_tokens";

class ProbeTest : public ::testing::Test {
 protected:
  ProbeReport Probe(const std::string& module, SiteProgram program,
                    const ProbeOptions& options = {}) {
    std::vector<Adapter::SiteEntry> entries;
    entries.push_back({sites_.Find(module), std::move(program)});
    return *ProbeAdapter(sites_, "a",
                         std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                                   std::move(entries)),
                         options, kernels::InlineThreadPool());
  }

  static LowRank Ones(int64_t in, int64_t out) {
    return {MakeTensor({1, in}, std::vector<float>(in, 1.0f)),
            MakeTensor({out, 1}, std::vector<float>(out, 1.0f)), 0.5f};
  }

  SiteTable sites_ = TinySites();
};

TEST_F(ProbeTest, AScaledOutputHasItsRatio) {
  const ProbeReport report =
      Probe(kQ0, {ScaleOut{std::vector<float>(8, 1.25f), false}});
  ASSERT_EQ(report.lines.size(), 1u);
  EXPECT_EQ(report.lines[0].site, kQ0);
  EXPECT_NEAR(report.lines[0].Ratio(), 0.25, 1e-5);
  EXPECT_NEAR(report.Ratio(), 0.25, 1e-5);
  EXPECT_NEAR(report.MaxRatio(), 0.25, 1e-5);
  EXPECT_EQ(report.NumUnchanged(), 0);
}

TEST_F(ProbeTest, WhatDoesNothingHasNoRatio) {
  const ProbeReport report =
      Probe(kQ0, {LowRank{MakeTensor({1, 8}, {1, 2}), MakeTensor({8, 1})}});
  EXPECT_EQ(report.Ratio(), 0);
  EXPECT_EQ(report.NumUnchanged(), 1);
  EXPECT_GT(report.lines[0].base_norm, 0);
}

// Its weight reads one group, its input has two.
TEST_F(ProbeTest, AConvolutionWithGroupsIsRunAsOne) {
  Site site;
  site.name = "conv";
  site.kind = SiteKind::kConvolution;
  site.in_features = 4;
  site.out_features = 4;
  site.weight = MakeTensor({4, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  site.conv.num_axes = 1;
  site.conv.in_channels = site.conv.out_channels = 4;
  site.conv.groups = 2;
  sites_ = SiteTable({site}, {"", "conv"}, "");
  const ProbeReport report = Probe("conv", {ScaleIn{{3, 3, 3, 3}}});
  EXPECT_NEAR(report.Ratio(), 2, 1e-5);
}

TEST_F(ProbeTest, SeedsChooseTheInput) {
  const SiteProgram program = {Ones(8, 8)};
  const double ratio = Probe(kQ0, program).Ratio();
  EXPECT_GT(ratio, 0);
  EXPECT_EQ(Probe(kQ0, program).Ratio(), ratio);
  EXPECT_NE(Probe(kQ0, program, {1, 16}).Ratio(), ratio);
  EXPECT_NE(Probe(kQ0, program, {0, 4}).Ratio(), ratio);
}

TEST_F(ProbeTest, GatesAreOpen) {
  LowRank gated = Ones(8, 8);
  const double open = Probe(kQ0, {gated}).Ratio();
  gated.gate = std::make_shared<const std::vector<int64_t>>(1, 3);
  EXPECT_EQ(Probe(kQ0, {gated}).Ratio(), open);
}

// One row of ten is easily missed by a few random ids.
TEST_F(ProbeTest, ReplacedRowsAreProbed) {
  for (int64_t id = 0; id < 10; ++id) {
    const ReplaceRows rows = {{id},
                              MakeTensor({1, 8}, std::vector<float>(8, 9))};
    EXPECT_GT(Probe(kEmbedding, {rows}, {0, 1}).Ratio(), 0);
  }
}

TEST_F(ProbeTest, EmbeddingsAndNorms) {
  EXPECT_GT(Probe(kEmbedding, {Ones(10, 8)}).Ratio(), 0);
  const Replace norm = {MakeTensor({8}, std::vector<float>(8, 3)), Tensor()};
  EXPECT_GT(Probe("model.norm", {norm}).Ratio(), 0);
}

TEST_F(ProbeTest, AZeroBaseHasAnInfiniteRatio) {
  EXPECT_TRUE(std::isinf(ProbeLine({"a", 0, 1}).Ratio()));
  EXPECT_EQ(ProbeLine({"a", 0, 0}).Ratio(), 0);
}

}  // namespace
}  // namespace peft
