#include "peft_cc/models/host_layers.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Tensor Zeros(std::vector<int64_t> shape, DType dtype = DType::kF32) {
  void* data = nullptr;
  return *Tensor::Allocate(dtype, std::move(shape), &data);
}

HostLayer Layer(const std::string& name, SiteKind kind,
                std::vector<int64_t> shape) {
  HostLayer layer;
  layer.name = name;
  layer.kind = kind;
  layer.weight = Zeros(std::move(shape));
  return layer;
}

HostLayer Conv(std::vector<int64_t> shape) {
  return Layer("conv", SiteKind::kConvolution, std::move(shape));
}

Site OnlySite(const HostLayer& layer) {
  const absl::StatusOr<SiteTable> sites = BuildHostSites({layer});
  EXPECT_TRUE(sites.ok()) << sites.status();
  return sites->sites().at(0);
}

void ExpectRefused(const std::vector<HostLayer>& layers,
                   const std::string& message) {
  const absl::Status status = BuildHostSites(layers).status();
  EXPECT_EQ(ErrorId(status), error_id::kArgument) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
}

TEST(HostLayersTest, FeaturesFollowTheKind) {
  const Site linear = OnlySite(Layer("a", SiteKind::kLinear, {3, 2}));
  EXPECT_EQ(linear.in_features, 2);
  EXPECT_EQ(linear.out_features, 3);
  const Site conv1d = OnlySite(Layer("a", SiteKind::kConv1D, {2, 3}));
  EXPECT_EQ(conv1d.in_features, 2);
  EXPECT_EQ(conv1d.out_features, 3);
  EXPECT_TRUE(conv1d.is_transposed());
  const Site table = OnlySite(Layer("a", SiteKind::kEmbedding, {9, 4}));
  EXPECT_EQ(table.in_features, 9);
  EXPECT_EQ(table.out_features, 4);
  EXPECT_EQ(OnlySite(Layer("a", SiteKind::kNorm, {5})).out_features, 5);
}

TEST(HostLayersTest, ConvolutionsAreLinearInColumnsOfAllGroups) {
  HostLayer layer = Conv({6, 2, 3, 5});
  layer.groups = 2;
  layer.stride = {2, 3, -1};
  layer.padding = {1, 2, -1};
  layer.padding_end = {-1, 4, -1};
  const Site site = OnlySite(layer);
  EXPECT_EQ(site.in_features, 4 * 3 * 5);
  EXPECT_EQ(site.out_features, 6);
  EXPECT_EQ(site.conv.kernel, (kernels::ConvAxes{1, 3, 5}));
  EXPECT_EQ(site.conv.stride, (kernels::ConvAxes{1, 2, 3}));
  EXPECT_EQ(site.conv.padding_begin, (kernels::ConvAxes{0, 1, 2}));
  EXPECT_EQ(site.conv.padding_end, (kernels::ConvAxes{0, 1, 4}));
}

TEST(HostLayersTest, AParameterHasASitePerExpert) {
  HostLayer layer = Layer("mlp.experts.up", SiteKind::kParameter, {3, 4, 5});
  const SiteTable sites = *BuildHostSites({layer});
  ASSERT_EQ(sites.sites().size(), 3u);
  EXPECT_EQ(sites.sites()[2].name, "mlp.experts.up[2]");
  EXPECT_EQ(sites.sites()[2].in_features, 5);
  EXPECT_EQ(sites.sites()[2].out_features, 4);
  const ParameterSites* parameter = sites.FindParameter("mlp.experts.up");
  ASSERT_NE(parameter, nullptr);
  EXPECT_EQ(parameter->num_sites, 3);
  EXPECT_EQ(sites.FindParameter("mlp.experts"), nullptr);
  layer.is_transposed = true;
  EXPECT_EQ((*BuildHostSites({layer})).sites()[0].in_features, 4);
}

TEST(HostLayersTest, ModulesComeAfterThoseThatHoldThem) {
  HostLayer other;
  other.name = "body.act";
  const SiteTable sites =
      *BuildHostSites({Layer("body.fc", SiteKind::kLinear, {2, 2}), other,
                       Layer("body.w", SiteKind::kParameter, {2, 2})});
  const std::vector<std::string> expected = {"", "body", "body.fc", "body.act"};
  EXPECT_EQ(sites.module_names(), expected);
}

TEST(HostLayersTest, NamesAreDottedAndUnique) {
  ExpectRefused({Layer("", SiteKind::kLinear, {2, 2})}, "no dotted name");
  ExpectRefused({Layer("a..b", SiteKind::kLinear, {2, 2})}, "no dotted name");
  ExpectRefused({Layer("a.", SiteKind::kLinear, {2, 2})}, "no dotted name");
  const HostLayer layer = Layer("a", SiteKind::kLinear, {2, 2});
  ExpectRefused({layer, layer}, "listed twice");
}

TEST(HostLayersTest, WeightsHaveTheRankOfTheirKind) {
  ExpectRefused({Layer("a", SiteKind::kLinear, {2})}, "a matrix");
  ExpectRefused({Layer("a", SiteKind::kLinear, {2, 0})}, "found [2, 0]");
  ExpectRefused({Conv({2, 2})}, "kernel");
  ExpectRefused({Conv({2, 2, 1, 1, 1, 1})}, "kernel");
  ExpectRefused({Layer("a", SiteKind::kMultiheadAttention, {6, 3})},
                "(3 d, d)");
  ExpectRefused({Layer("a.b", SiteKind::kParameter, {2, 2, 2, 2})}, "experts");
}

TEST(HostLayersTest, WeightsAreFloats) {
  HostLayer layer = Layer("a", SiteKind::kLinear, {2, 2});
  layer.weight = Zeros({2, 2}, DType::kI64);
  ExpectRefused({layer}, "found I64");
  layer.weight = Tensor();
  ExpectRefused({layer}, "found none");
}

TEST(HostLayersTest, BiasesFitTheOutputs) {
  HostLayer layer = Layer("a", SiteKind::kLinear, {3, 2});
  layer.bias = Zeros({3});
  EXPECT_TRUE(OnlySite(layer).has_bias());
  layer.bias = Zeros({2});
  ExpectRefused({layer}, "expected [3], found [2]");
  HostLayer table = Layer("a", SiteKind::kEmbedding, {3, 2});
  table.bias = Zeros({2});
  ExpectRefused({table}, "no bias");
}

TEST(HostLayersTest, ConvolutionsAreBounded) {
  HostLayer layer = Conv({6, 2, 3});
  layer.groups = 4;
  ExpectRefused({layer}, "a divisor of 6");
  layer.groups = 0;
  ExpectRefused({layer}, "a divisor of 6");
  layer = Conv({6, 2, 3});
  layer.stride[0] = 0;
  ExpectRefused({layer}, "stride");
  layer = Conv({6, 2, 3});
  layer.dilation[0] = int64_t{1} << 40;
  ExpectRefused({layer}, "dilation");
  layer = Conv({6, 2, 3});
  layer.padding[0] = -1;
  ExpectRefused({layer}, "padding");
  layer = Conv({6, 2, 3});
  layer.padding_end[0] = -2;
  ExpectRefused({layer}, "padding_end");
}

TEST(HostLayersTest, NormsHaveAnEpsilonAndRmsNormsNoBias) {
  HostLayer layer = Layer("a", SiteKind::kNorm, {2});
  layer.norm_epsilon = -1;
  ExpectRefused({layer}, "epsilon");
  layer.norm_epsilon = 1e-6f;
  layer.bias = Zeros({2});
  EXPECT_EQ(OnlySite(layer).norm_epsilon, 1e-6f);
  layer.is_rms_norm = true;
  ExpectRefused({layer}, "no bias");
}

TEST(HostLayersTest, OnlyStacksOfMatricesAreTransposed) {
  HostLayer layer = Layer("a", SiteKind::kLinear, {2, 2});
  layer.is_transposed = true;
  ExpectRefused({layer}, "is_transposed");
  layer.kind = SiteKind::kParameter;
  ExpectRefused({layer}, "is_transposed");
}

}  // namespace
}  // namespace peft
