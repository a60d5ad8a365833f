#include "peft_cc/adapters/merge.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/layer.h"

namespace peft {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kO0[] = "model.layers.0.self_attn.o_proj";
constexpr char kNorm[] = "model.norm";
constexpr char kEmbedding[] = "model.embed_tokens";

// Values that look random, in (-1, 1).
std::vector<float> Values(int64_t count, int seed) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sin(1.7 * (i + 1) + 31.0 * seed));
  }
  return values;
}

Tensor RandomTensor(std::vector<int64_t> shape, int seed) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return MakeTensor(std::move(shape), Values(count, seed));
}

LowRank Factors(int64_t in, int64_t out, int seed) {
  return {RandomTensor({3, in}, seed), RandomTensor({out, 3}, seed + 1), 0.75f};
}

MagnitudeScale Magnitudes(int64_t out, int seed) {
  MagnitudeScale form;
  form.magnitude = Values(out, seed);
  form.norm0.assign(out, 2.0);
  form.norm1.assign(out, 0.25);
  form.norm2.assign(out, 1.0);
  form.scale = 0.75f;
  return form;
}

class MergeTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Adapter> MakeAdapter(const std::string& module,
                                             SiteProgram program) {
    std::vector<Adapter::SiteEntry> entries;
    entries.push_back({sites_.Find(module), std::move(program)});
    return std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                     std::move(entries));
  }

  std::shared_ptr<const Plan> PlanOf(const std::string& module,
                                     const std::vector<SiteProgram>& programs) {
    Activation activation;
    for (const SiteProgram& program : programs) {
      activation.entries.push_back({MakeAdapter(module, program), 1.0f, "a"});
    }
    return *Plan::Create(sites_, activation);
  }

  // Merged weights alone give what the plan gives.
  void ExpectMergedEqual(const std::string& module,
                         const std::vector<SiteProgram>& programs) {
    const std::shared_ptr<const Plan> plan = PlanOf(module, programs);
    const auto overlay =
        *MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
    const auto merged = *Plan::Create(sites_, {}, {{}, overlay});
    const int site = sites_.Find(module);
    const std::vector<float> expected = SiteOutput(sites_, *plan, site);
    const std::vector<float> actual = SiteOutput(sites_, *merged, site);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) {
      EXPECT_NEAR(actual[i], expected[i], 1e-5) << i;
    }
    EXPECT_NE(expected,
              SiteOutput(sites_, *Plan::Create(sites_, {}).value(), site));
  }

  SiteTable sites_ = TinySites();
};

TEST_F(MergeTest, LowRankAndBias) {
  ExpectMergedEqual(kQ0, {{Factors(8, 8, 1), Bias{Values(8, 3)}}});
}

TEST_F(MergeTest, ABiasWhereTheLayerHasNone) {
  ExpectMergedEqual(kO0, {{Bias{Values(8, 3)}}});
}

TEST_F(MergeTest, ScaledInputsAndOutputs) {
  ExpectMergedEqual(kQ0, {{ScaleOut{Values(8, 1), true}},
                          {ScaleIn{Values(8, 2)}},
                          {ScaleOut{Values(8, 5), false}}});
}

TEST_F(MergeTest, AStackInItsOrder) {
  ExpectMergedEqual(kQ0, {{Factors(8, 8, 1), Magnitudes(8, 4)},
                          {Factors(8, 8, 7)},
                          {ScaleIn{Values(8, 9)}},
                          {Factors(8, 8, 11), Magnitudes(8, 14)}});
}

TEST_F(MergeTest, ReplacedModule) {
  ExpectMergedEqual(kQ0,
                    {{Factors(8, 8, 5)},
                     {Replace{RandomTensor({8, 8}, 1), RandomTensor({8}, 2)}}});
}

TEST_F(MergeTest, ReplacedRows) {
  ExpectMergedEqual("lm_head", {{ReplaceRows{{1, 7}, RandomTensor({2, 8}, 1)}},
                                {Factors(8, 10, 5)}});
}

TEST_F(MergeTest, Embedding) {
  ExpectMergedEqual(
      kEmbedding,
      {{Factors(10, 8, 3)}, {ReplaceRows{{0, 9}, RandomTensor({2, 8}, 1)}}});
}

TEST_F(MergeTest, Norm) {
  const Replace replace = {RandomTensor({8}, 1), Tensor()};
  const auto plan = PlanOf(kNorm, {{replace}});
  const auto overlay =
      *MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  const auto merged = *Plan::Create(sites_, {}, {{}, overlay});
  const kernels::VectorView weight = merged->norm(sites_.Find(kNorm)).weight;
  ASSERT_EQ(weight.size, 8);
  const auto* const values = static_cast<const float*>(weight.data);
  EXPECT_EQ(std::vector<float>(values, values + 8), Values(8, 1));
}

TEST_F(MergeTest, WhatDoesNotChangeIsShared) {
  const auto plan = PlanOf(kQ0, {{Bias{Values(8, 3)}}});
  const auto overlay =
      *MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  ASSERT_EQ(overlay->sites.size(), 1u);
  const int site = sites_.Find(kQ0);
  EXPECT_EQ(overlay->sites.at(site).weight.data(),
            sites_.sites()[site].weight.data());
  EXPECT_NE(overlay->sites.at(site).bias.data(),
            sites_.sites()[site].bias.data());
}

TEST_F(MergeTest, GatesAreRefused) {
  LowRank gated = Factors(8, 8, 1);
  gated.gate = std::make_shared<const std::vector<int64_t>>(1, 3);
  const auto plan = PlanOf(kQ0, {{gated}});
  const auto overlay =
      MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  EXPECT_EQ(overlay.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorId(overlay.status()), "ADAPTER_NOT_MERGEABLE");
}

// A convolution of two groups, each of two channels in and two out.
class GroupsMergeTest : public MergeTest {
 protected:
  GroupsMergeTest() {
    Site site;
    site.name = "m";
    site.kind = SiteKind::kConvolution;
    site.in_features = 4;
    site.out_features = 4;
    site.weight = MakeTensor({4, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
    site.conv.num_axes = 1;
    site.conv.in_channels = 4;
    site.conv.out_channels = 4;
    site.conv.groups = 2;
    sites_ = SiteTable({site}, {"", "m"}, "");
  }
};

TEST_F(GroupsMergeTest, EachGroupHasItsOwnFactors) {
  const auto plan = PlanOf(
      "m", {{ScaleIn{{1, 10, 100, 1000}}}, {ScaleOut{{1, 2, 3, 4}, true}}});
  const auto overlay =
      *MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  EXPECT_EQ(overlay->sites.at(0).weight.ToF32(),
            (std::vector<float>{1, 20, 6, 80, 1500, 18000, 2800, 32000}));
}

TEST_F(GroupsMergeTest, AProductOfAllChannelsIsRefused) {
  const auto plan = PlanOf("m", {{Factors(4, 4, 1)}});
  const auto merged = MergePlan(sites_, *plan, {}, kernels::InlineThreadPool());
  EXPECT_EQ(ErrorId(merged.status()), error_id::kAdapterNotMergeable);
}

TEST_F(MergeTest, FiniteWhereAsked) {
  LowRank broken = Factors(8, 8, 1);
  std::vector<float> values = Values(24, 1);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  broken.a = MakeTensor({3, 8}, values);
  const auto plan = PlanOf(kQ0, {{broken}});
  EXPECT_TRUE(MergePlan(sites_, *plan, {}, kernels::InlineThreadPool()).ok());
  MergeAdapterOptions options;
  options.check_finite = true;
  const auto overlay =
      MergePlan(sites_, *plan, options, kernels::InlineThreadPool());
  EXPECT_EQ(ErrorId(overlay.status()), "MERGE_NOT_FINITE");
  EXPECT_EQ(GetErrorDetails(overlay.status()).tensor, kQ0);
}

}  // namespace
}  // namespace peft
