#include "peft_cc/adapters/plan.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kO0[] = "model.layers.0.self_attn.o_proj";

class PlanTest : public ::testing::Test {
 protected:
  // An adapter with one program at `module`.
  std::shared_ptr<const Adapter> MakeAdapter(
      const std::string& module, SiteProgram program,
      const std::string& method = "LORA") {
    std::vector<Adapter::SiteEntry> entries;
    entries.push_back({sites_.Find(module), std::move(program)});
    AdapterConfig config;
    config.base.peft_type = method;
    return std::make_shared<Adapter>(std::move(config), TensorMap(),
                                     std::move(entries));
  }

  const kernels::LinearPlan& At(const Plan& plan, const std::string& module) {
    return plan.linear(sites_.Find(module));
  }

  static std::vector<float> BiasOf(const kernels::LinearPlan& plan) {
    std::vector<float> values(plan.bias.size);
    ConvertToF32(plan.bias.dtype, plan.bias.data, plan.bias.size,
                 values.data());
    return values;
  }

  SiteTable sites_ = TinySites();
};

TEST_F(PlanTest, EmptyActivationIsTheBase) {
  const auto plan = *Plan::Create(sites_, {});
  for (size_t i = 0; i < sites_.sites().size(); ++i) {
    const Site& site = sites_.sites()[i];
    const kernels::LinearPlan& linear = plan->linear(static_cast<int>(i));
    EXPECT_TRUE(linear.stages.empty());
    EXPECT_EQ(linear.bias.data, site.bias.data());
    if (site.kind == SiteKind::kNorm) continue;
    EXPECT_EQ(linear.weight.data, site.weight.data());
    EXPECT_EQ(linear.weight.rows, site.weight.dim(0));
    EXPECT_EQ(linear.weight.stride, site.weight.dim(1));
  }
}

TEST_F(PlanTest, LowRankScalesMultiply) {
  const LowRank form = {MakeTensor({2, 8}), MakeTensor({8, 2}), 3.0f};
  const auto plan = *Plan::Create(sites_, {{{MakeAdapter(kQ0, {form}), 0.5f}}});
  const auto& segments = At(*plan, kQ0).stages[0].low_rank;
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].scale, 1.5f);
  EXPECT_EQ(segments[0].a.data, form.a.data());
  EXPECT_EQ(segments[0].b.rows, 8);
  EXPECT_TRUE(At(*plan, kO0).stages.empty());
}

TEST_F(PlanTest, AdaptersKeepTheirOrder) {
  const auto one =
      MakeAdapter(kQ0, {LowRank{MakeTensor({1, 8}), MakeTensor({8, 1}), 1.0f}});
  const auto two =
      MakeAdapter(kQ0, {LowRank{MakeTensor({2, 8}), MakeTensor({8, 2}), 1.0f}});
  const auto plan = *Plan::Create(sites_, {{{two, 1}, {one, 1}}});
  const auto& segments = At(*plan, kQ0).stages[0].low_rank;
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].a.rows, 2);
  EXPECT_EQ(segments[1].a.rows, 1);
}

// PEFT puts a LoRA that is loaded after an IA3 around it, also where an earlier
// LoRA lies inside.
TEST_F(PlanTest, MethodsNestInTheOrderOfLoading) {
  const auto lora = [&](int64_t r) {
    return MakeAdapter(kQ0,
                       {LowRank{MakeTensor({r, 8}), MakeTensor({8, r}), 1.0f}});
  };
  const auto inner = lora(1), outer = lora(2);
  const auto ia3 =
      MakeAdapter(kQ0, {ScaleOut{std::vector<float>(8, 2.0f), true}}, "IA3");
  const std::vector<std::shared_ptr<const Adapter>> order = {inner, ia3, outer};
  const auto plan = *Plan::Create(sites_, {{{outer, 1}, {ia3, 1}, {inner, 1}}},
                                  {order, nullptr});
  const auto& stages = At(*plan, kQ0).stages;
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].low_rank[0].a.rows, 1);
  EXPECT_NE(stages[0].out_scale.data, nullptr);
  EXPECT_EQ(stages[1].low_rank[0].a.rows, 2);
}

TEST_F(PlanTest, WhatIsNotActiveIsNoLayerBetweenOthers) {
  const auto lora = [&](int64_t r) {
    return MakeAdapter(kQ0,
                       {LowRank{MakeTensor({r, 8}), MakeTensor({8, r}), 1.0f}});
  };
  const auto one = lora(1), two = lora(2);
  const auto ia3 =
      MakeAdapter(kQ0, {ScaleOut{std::vector<float>(8, 2.0f), true}}, "IA3");
  const std::vector<std::shared_ptr<const Adapter>> order = {one, ia3, two};
  const auto plan =
      *Plan::Create(sites_, {{{two, 1}, {one, 1}}}, {order, nullptr});
  EXPECT_EQ(At(*plan, kQ0).stages[0].low_rank[0].a.rows, 2);
}

TEST_F(PlanTest, BiasesAddUpOnTheBases) {
  const auto one = MakeAdapter(kQ0, {Bias{std::vector<float>(8, 1.0f)}});
  const auto two = MakeAdapter(kQ0, {Bias{std::vector<float>(8, 4.0f)}});
  const auto plan = *Plan::Create(sites_, {{{one, 1}, {two, 0.5f}}});
  const std::vector<float> base = sites_.sites()[sites_.Find(kQ0)].bias.ToF32();
  const std::vector<float> folded = BiasOf(At(*plan, kQ0));
  for (size_t i = 0; i < base.size(); ++i) {
    EXPECT_EQ(folded[i], base[i] + 3.0f);
  }
}

TEST_F(PlanTest, BiasOfALayerWithoutOne) {
  const auto adapter = MakeAdapter(kO0, {Bias{std::vector<float>(8, 2.0f)}});
  const auto plan = *Plan::Create(sites_, {{{adapter, 1}}});
  EXPECT_EQ(BiasOf(At(*plan, kO0)), std::vector<float>(8, 2.0f));
}

TEST_F(PlanTest, KeepsItsAdaptersAlive) {
  auto adapter = MakeAdapter(kO0, {Bias{std::vector<float>(8, 2.0f)}});
  const std::weak_ptr<const Adapter> watch = adapter;
  auto plan = *Plan::Create(sites_, {{{std::move(adapter), 1}}});
  EXPECT_FALSE(watch.expired());
  plan.reset();
  EXPECT_TRUE(watch.expired());
}

TEST_F(PlanTest, ActivationsCompareByGenerationScaleAndOrder) {
  const auto one = MakeAdapter(kQ0, {});
  const auto two = MakeAdapter(kQ0, {});
  const Activation activation = {{{one, 1}, {two, 0.5f}}};
  EXPECT_TRUE(activation.SameAs({{{one, 1}, {two, 0.5f}}}));
  EXPECT_FALSE(activation.SameAs({{{two, 0.5f}, {one, 1}}}));
  EXPECT_FALSE(activation.SameAs({{{one, 1}, {two, 1}}}));
  EXPECT_FALSE(activation.SameAs({{{one, 1}}}));
  EXPECT_TRUE(Activation().SameAs({}));
}

}  // namespace
}  // namespace peft
