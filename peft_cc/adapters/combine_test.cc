// What add_weighted_adapter makes and refuses; testing/conformance compares its
// numbers with PEFT's.
#include "peft_cc/adapters/combine.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kQ[] = "model.layers.0.self_attn.q_proj";
constexpr char kQ1[] = "model.layers.1.self_attn.q_proj";
constexpr char kV[] = "model.layers.0.self_attn.v_proj";
constexpr char kEmbedding[] = "model.embed_tokens";

Tensor Noise(std::vector<int64_t> shape, int seed) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sin(1.7 * i + 2.3 * seed));
  }
  return MakeTensor(std::move(shape), std::move(values));
}

class CombineTest : public ::testing::Test {
 protected:
  const Site& SiteOf(const std::string& module) const {
    return sites_.sites()[sites_.Find(module)];
  }

  // Factors of rank `r` at `module`.
  void AddLora(const std::string& module, int64_t r, TensorMap& tensors) {
    const Site& site = SiteOf(module);
    const bool is_table = site.kind == SiteKind::kEmbedding;
    const std::string prefix = absl::StrCat(module, ".lora_");
    tensors[absl::StrCat(prefix, is_table ? "embedding_A" : "A.weight")] =
        Noise({r, site.in_features}, ++seed_);
    tensors[absl::StrCat(prefix, is_table ? "embedding_B" : "B.weight")] =
        Noise({site.out_features, r}, ++seed_);
  }

  // A source with these tensors; `fields` are those of its config.
  void AddSource(const std::string& fields, TensorMap tensors,
                 double weight = 1, double scale = 1) {
    auto config = ParseAdapterConfig(absl::StrCat("{", fields, "}"));
    ASSERT_TRUE(config.ok()) << config.status();
    const std::string name = absl::StrCat("s", sources_.size());
    auto built =
        BuildAdapter(sites_, name, *std::move(config), std::move(tensors), {});
    ASSERT_TRUE(built.ok()) << built.status();
    sources_.push_back({name, built->adapter, weight, scale});
  }

  // A LORA source of rank `r` at these modules.
  void AddLoraSource(const std::string& fields, int64_t r,
                     const std::vector<std::string>& modules, double weight = 1,
                     double scale = 1) {
    TensorMap tensors;
    for (const std::string& module : modules) AddLora(module, r, tensors);
    AddSource(absl::StrCat(R"("peft_type": "LORA", "r": )", r, ", ", fields),
              std::move(tensors), weight, scale);
  }

  absl::StatusOr<LoadedAdapter> Combine(CombinationType type) {
    options_.type = type;
    return CombineAdapters(sites_, "new", sources_, options_,
                           kernels::InlineThreadPool());
  }

  void ExpectRefused(CombinationType type, const std::string& why) {
    const absl::Status status = Combine(type).status();
    EXPECT_EQ(ErrorId(status), error_id::kAdapterNotCombinable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  // What adapters together change in a weight.
  std::vector<double> Delta(const std::vector<CombineSource>& sources,
                            const std::string& module) {
    Activation activation;
    for (const CombineSource& source : sources) {
      activation.entries.push_back(
          {source.adapter, static_cast<float>(source.weight * source.scale)});
    }
    const int site = sites_.Find(module);
    const auto plan = *Plan::Create(sites_, activation);
    const Tensor merged =
        *MergeWeightF32(sites_, *plan, site, kernels::InlineThreadPool());
    const std::vector<float> after = merged.ToF32();
    const std::vector<float> before = SiteOf(module).weight.ToF32();
    std::vector<double> delta;
    for (size_t i = 0; i < after.size(); ++i) {
      delta.push_back(after[i] - before[i]);
    }
    return delta;
  }

  void ExpectSum(const LoadedAdapter& combined, const std::string& module) {
    const std::vector<double> found =
        Delta({{"new", combined.adapter, 1, 1}}, module);
    const std::vector<double> expected = Delta(sources_, module);
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 1e-5) << module << " element " << i;
    }
  }

  SiteTable sites_ = TinySites();
  std::vector<CombineSource> sources_;
  CombineOptions options_;
  int seed_ = 0;
};

const Json& Field(const LoadedAdapter& loaded, const char* key) {
  return loaded.adapter->config().json.at(key);
}

TEST_F(CombineTest, CatIsTheSumOfLayersWithRanksOfTheirOwn) {
  TensorMap tensors;
  AddLora(kQ, 3, tensors);
  AddLora(kV, 1, tensors);
  AddSource(R"("peft_type": "LORA", "r": 3, "lora_alpha": 6,
               "target_modules": ["layers.0.self_attn.q_proj",
                                  "layers.0.self_attn.v_proj"],
               "rank_pattern": {"v_proj": 1}, "alpha_pattern": {"v_proj": 5})",
            std::move(tensors), 0.7);
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ},
                -0.5);
  const auto combined = Combine(CombinationType::kCat);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Field(*combined, "r").get<int>(), 5);
  EXPECT_EQ(Field(*combined, "lora_alpha").get<int>(), 5);
  EXPECT_THAT(Field(*combined, "rank_pattern"), IsEmpty());
  EXPECT_THAT(Field(*combined, "alpha_pattern"), IsEmpty());
  ExpectSum(*combined, kQ);
  ExpectSum(*combined, kV);
}

TEST_F(CombineTest, TheRankCountsAlsoWhereAPatternIsBelowIt) {
  TensorMap tensors;
  AddLora(kQ, 2, tensors);
  AddSource(R"("peft_type": "LORA", "r": 4, "rank_pattern": {"q_proj": 2},
               "target_modules": ["layers.0.self_attn.q_proj"])",
            std::move(tensors), -0.5);
  const auto combined = Combine(CombinationType::kLinear);
  ASSERT_TRUE(combined.ok()) << combined.status();
  const Tensor& a =
      combined->adapter->state_dict().at(absl::StrCat(kQ, ".lora_A.weight"));
  EXPECT_THAT(a.shape(), ElementsAre(4, 8));
  ExpectSum(*combined, kQ);
}

TEST_F(CombineTest, SvdOfEnoughRankIsTheSumWithTheScalesThatWereSet) {
  AddLoraSource(R"("target_modules": ["q_proj"], "use_rslora": true)", 2,
                {kQ, kQ1}, 0.7, /*scale=*/0.25);
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 3, {kQ},
                -0.5, /*scale=*/2);
  options_.svd_rank = 5;
  const auto combined = Combine(CombinationType::kSvd);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Field(*combined, "r").get<int>(), 5);
  EXPECT_FALSE(Field(*combined, "use_rslora").get<bool>());
  ExpectSum(*combined, kQ);
  ExpectSum(*combined, kQ1);
}

TEST_F(CombineTest, EmbeddingsAreCombinedToo) {
  AddLoraSource(R"("target_modules": ["embed_tokens"])", 2, {kEmbedding});
  AddLoraSource(R"("target_modules": ["embed_tokens"])", 1, {kEmbedding}, 0.3);
  for (const CombinationType type :
       {CombinationType::kCat, CombinationType::kSvd}) {
    options_.svd_rank = 3;
    const auto combined = Combine(type);
    ASSERT_TRUE(combined.ok()) << combined.status();
    ExpectSum(*combined, kEmbedding);
  }
}

TEST_F(CombineTest, KeepsTheOtherFieldsOfTheFirst) {
  AddLoraSource(R"("target_modules": ["q_proj"], "lora_dropout": 0.1,
                   "base_model_name_or_path": "base",
                   "exclude_modules": ["layers.1.self_attn.q_proj"],
                   "init_lora_weights": "orthogonal")",
                2, {kQ});
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.v_proj", "q_proj"],
                   "layers_to_transform": [0])",
                2, {kQ, kV});
  const auto combined = Combine(CombinationType::kLinear);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Field(*combined, "base_model_name_or_path").dump(), "\"base\"");
  EXPECT_EQ(Field(*combined, "exclude_modules").dump(),
            R"(["layers.1.self_attn.q_proj"])");
  EXPECT_EQ(Field(*combined, "lora_dropout").dump(), "0.1");
  EXPECT_EQ(Field(*combined, "init_lora_weights").dump(), "true");
  EXPECT_EQ(Field(*combined, "target_modules").dump(),
            R"(["q_proj","layers.0.self_attn.v_proj"])");
}

TEST_F(CombineTest, RegexesAreJoined) {
  AddLoraSource(R"("target_modules": ".*\\.0\\..*\\.q_proj")", 2, {kQ});
  AddLoraSource(R"("target_modules": ".*\\.0\\..*\\.v_proj")", 2, {kV});
  const auto combined = Combine(CombinationType::kLinear);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Field(*combined, "target_modules").get<std::string>(),
            R"((.*\.0\..*\.q_proj)|(.*\.0\..*\.v_proj))");
}

// PEFT applies the first one's to all.
TEST_F(CombineTest, FiltersOfTheFirstDropNothingOfOthers) {
  AddLoraSource(R"("target_modules": ["q_proj"], "layers_to_transform": [0])",
                2, {kQ});
  AddLoraSource(R"("target_modules": ["q_proj"])", 2, {kQ, kQ1}, 0.5);
  const auto combined = Combine(CombinationType::kCat);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_TRUE(Field(*combined, "layers_to_transform").is_null());
  ExpectSum(*combined, kQ);
  ExpectSum(*combined, kQ1);
}

TEST_F(CombineTest, DoraTakesPartWithItsChangeOfTheWeight) {
  TensorMap tensors;
  AddLora(kQ, 2, tensors);
  tensors[absl::StrCat(kQ, ".lora_magnitude_vector")] =
      MakeTensor({8}, std::vector<float>(8, 1.5f));
  AddSource(R"("peft_type": "LORA", "r": 2, "use_dora": true,
               "target_modules": ["layers.0.self_attn.q_proj"])",
            std::move(tensors));
  ExpectRefused(CombinationType::kCat, "use a type that ends in svd");
  options_.svd_rank = 8;
  const auto combined = Combine(CombinationType::kSvd);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_FALSE(Field(*combined, "use_dora").get<bool>());
  ExpectSum(*combined, kQ);
}

TEST_F(CombineTest, InitsThatTookFromTheBaseTakePartWithTheirChange) {
  for (const char* init : {"pissa", "olora"}) {
    sources_.clear();
    AddLoraSource(absl::StrCat(R"("init_lora_weights": ")", init, R"(",
                     "target_modules": ["layers.0.self_attn.q_proj"])"),
                  2, {kQ}, 0.5);
    ExpectRefused(CombinationType::kCat, "takes a part of the base away");
    AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ},
                  -1);
    options_.svd_rank = 8;
    const auto combined = Combine(CombinationType::kSvd);
    ASSERT_TRUE(combined.ok()) << combined.status();
    EXPECT_EQ(Field(*combined, "init_lora_weights"), true) << init;
    ExpectSum(*combined, kQ);
  }
}

TEST_F(CombineTest, InvocationTokensMustBeTheSame) {
  const std::string fields =
      R"("task_type": "CAUSAL_LM", "alora_invocation_tokens": [3, 4],
         "target_modules": ["layers.0.self_attn.q_proj"])";
  AddLoraSource(fields, 2, {kQ});
  AddLoraSource(fields, 2, {kQ});
  const auto combined = Combine(CombinationType::kCat);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Field(*combined, "alora_invocation_tokens").dump(), "[3,4]");
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  ExpectRefused(CombinationType::kCat, "alora_invocation_tokens");
}

TEST_F(CombineTest, RefusesRanksThatDifferInTypesOnFactors) {
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 3, {kQ});
  options_.density = 0.5;
  for (const CombinationType type :
       {CombinationType::kLinear, CombinationType::kTies,
        CombinationType::kDareLinear, CombinationType::kDareTies,
        CombinationType::kMagnitudePrune}) {
    ExpectRefused(type, "needs adapters of one rank");
  }
}

TEST_F(CombineTest, RefusesRanksThatDifferAtOneLayer) {
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 3, {kQ});
  TensorMap tensors;
  AddLora(kQ, 2, tensors);
  AddSource(R"("peft_type": "LORA", "r": 3, "rank_pattern": {"q_proj": 2},
               "target_modules": ["layers.0.self_attn.q_proj"])",
            std::move(tensors));
  ExpectRefused(CombinationType::kLinear, "equal ranks at each layer");
}

TEST_F(CombineTest, RefusesARegexBesideAList) {
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  AddLoraSource(R"("target_modules": ".*\\.0\\..*\\.q_proj")", 2, {kQ});
  ExpectRefused(CombinationType::kCat, "target_modules is a regex");
}

TEST_F(CombineTest, RefusesWhatFactorsCannotHold) {
  const struct {
    const char* fields;
    const char* part;
    std::vector<int64_t> shape;
    const char* why;
  } cases[] = {
      {R"("bias": "lora_only")", "base_layer.bias", {8}, "biases"},
      {R"("lora_bias": true)", "lora_B.bias", {8}, "biases"},
  };
  for (const auto& item : cases) {
    sources_.clear();
    TensorMap tensors;
    AddLora(kQ, 2, tensors);
    tensors[absl::StrCat(kQ, ".", item.part)] = Noise(item.shape, 9);
    AddSource(absl::StrCat(R"("peft_type": "LORA", "r": 2, "target_modules":
                        ["layers.0.self_attn.q_proj"], )",
                           item.fields),
              std::move(tensors));
    ExpectRefused(CombinationType::kCat, item.why);
  }
  sources_.clear();
  TensorMap tensors;
  AddLora(kQ, 2, tensors);
  tensors["model.norm.weight"] = Noise({8}, 9);
  AddSource(R"("peft_type": "LORA", "r": 2, "modules_to_save": ["model.norm"],
               "target_modules": ["layers.0.self_attn.q_proj"])",
            std::move(tensors));
  ExpectRefused(CombinationType::kCat, "replaces it or rows of it");
}

TEST_F(CombineTest, NeedsSourcesAndADensity) {
  EXPECT_EQ(ErrorId(Combine(CombinationType::kCat).status()),
            error_id::kArgument);
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  EXPECT_EQ(ErrorId(Combine(CombinationType::kTies).status()),
            error_id::kArgument);
}

// -- IA3

constexpr char kIa3Q[] =
    R"("peft_type": "IA3", "target_modules": ["layers.0.self_attn.q_proj"],
       "feedforward_modules": [])";

class CombineIa3Test : public CombineTest {
 protected:
  void AddIa3(const std::string& fields, const std::string& module,
              std::vector<int64_t> shape, double weight, double scale = 1) {
    TensorMap tensors;
    tensors[absl::StrCat(module, ".ia3_l")] = Noise(std::move(shape), ++seed_);
    AddSource(fields, std::move(tensors), weight, scale);
  }

  std::vector<float> Vector(const Adapter& adapter, const std::string& module) {
    return adapter.state_dict().at(absl::StrCat(module, ".ia3_l")).ToF32();
  }
};

TEST_F(CombineIa3Test, SumsVectorsOfTheModulesOfAll) {
  AddIa3(kIa3Q, kQ, {8, 1}, 2);
  AddIa3(kIa3Q, kQ, {8, 1}, -0.5);
  AddIa3(R"("peft_type": "IA3", "target_modules": ["layers.0.mlp.down_proj"],
            "feedforward_modules": ["layers.0.mlp.down_proj"])",
         "model.layers.0.mlp.down_proj", {1, 12}, 1);
  const auto combined = Combine(CombinationType::kLinear);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(combined->adapter->entries().size(), 2u);
  const std::vector<float> sum = Vector(*combined->adapter, kQ);
  const std::vector<float> a = Vector(*sources_[0].adapter, kQ);
  const std::vector<float> b = Vector(*sources_[1].adapter, kQ);
  for (size_t i = 0; i < sum.size(); ++i) {
    EXPECT_FLOAT_EQ(sum[i], 2 * a[i] - 0.5f * b[i]);
  }
  EXPECT_EQ(Field(*combined, "feedforward_modules").dump(),
            R"(["layers.0.mlp.down_proj"])");
}

// feedforward_modules of another source would match it, too.
TEST_F(CombineIa3Test, KeepsWhichSideAModuleScales) {
  AddIa3(kIa3Q, kQ, {8, 1}, 1);
  AddIa3(R"("peft_type": "IA3", "target_modules": ".*\\.1\\..*\\.q_proj",
            "feedforward_modules": ".*q_proj")",
         kQ1, {1, 8}, 1);
  ExpectRefused(CombinationType::kLinear, "target_modules is a regex");
  sources_.clear();
  AddIa3(R"("peft_type": "IA3", "target_modules": ".*\\.0\\..*\\.q_proj",
            "feedforward_modules": "none")",
         kQ, {8, 1}, 1);
  AddIa3(R"("peft_type": "IA3", "target_modules": ".*\\.1\\..*\\.q_proj",
            "feedforward_modules": ".*q_proj")",
         kQ1, {1, 8}, 1);
  const auto combined = Combine(CombinationType::kLinear);
  ASSERT_TRUE(combined.ok()) << combined.status();
  EXPECT_EQ(Vector(*combined->adapter, kQ), Vector(*sources_[0].adapter, kQ));
  EXPECT_EQ(Field(*combined, "feedforward_modules").get<std::string>(),
            R"(model\.layers\.1\.self_attn\.q_proj)");
}

TEST_F(CombineIa3Test, RefusesBothSidesOfOneModule) {
  AddIa3(kIa3Q, kQ, {8, 1}, 1);
  AddIa3(R"("peft_type": "IA3", "target_modules": ["layers.0.self_attn.q_proj"],
            "feedforward_modules": ["layers.0.self_attn.q_proj"])",
         kQ, {1, 8}, 1);
  ExpectRefused(CombinationType::kLinear, "feedforward module of some");
}

TEST_F(CombineIa3Test, RefusesScalesOtherTypesAndOtherMethods) {
  AddIa3(kIa3Q, kQ, {8, 1}, 1, /*scale=*/0);
  ExpectRefused(CombinationType::kLinear, "its scale was set to 0");
  sources_.clear();
  AddIa3(kIa3Q, kQ, {8, 1}, 1);
  AddIa3(kIa3Q, kQ, {8, 1}, 1);
  ExpectRefused(CombinationType::kCat, "sums only");
  AddLoraSource(R"("target_modules": ["layers.0.self_attn.q_proj"])", 2, {kQ});
  ExpectRefused(CombinationType::kLinear, "it is of type IA3");
}

}  // namespace
}  // namespace peft
