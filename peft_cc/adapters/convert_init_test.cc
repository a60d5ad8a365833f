// peft_cc/algebra's weighted_lora_oracle_test.py compares the factors with what
// PEFT saves.
#include "peft_cc/adapters/convert_init.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/fresh.h"
#include "peft_cc/adapters/save.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

// The sum of s B A over a site's terms, row after row.
std::vector<double> Delta(const SiteProgram& program) {
  std::vector<double> sum;
  for (const auto& form : program) {
    const auto* const term = std::get_if<LowRank>(&form);
    if (term == nullptr) continue;
    const Matrix a = *MatrixFromTensor(term->a);
    const Matrix b = *MatrixFromTensor(term->b);
    sum.resize(b.rows * a.cols);
    for (int64_t o = 0; o < b.rows; ++o) {
      for (int64_t i = 0; i < a.cols; ++i) {
        for (int64_t r = 0; r < a.rows; ++r) {
          sum[o * a.cols + i] += term->scale * b.row(o)[r] * a.row(r)[i];
        }
      }
    }
  }
  return sum;
}

void ExpectNear(const std::vector<double>& found,
                const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  for (const double value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 1e-5 * largest) << i;
  }
}

class ConvertInitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/convert_XXXXXX";
    root_ = fs::canonical(mkdtemp(pattern.data()));
    initial_ = root_ + "/initial";
    saved_ = root_ + "/saved";
  }
  void TearDown() override { fs::remove_all(root_); }

  FreshAdapter Fresh(const std::string& config) const {
    AdapterConfigOptions options;
    options.is_new = true;
    const auto parsed = ParseAdapterConfig(config, options);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    auto fresh = MakeFreshAdapter(sites_, *parsed, {});
    EXPECT_TRUE(fresh.ok()) << fresh.status();
    return *std::move(fresh);
  }

  std::shared_ptr<const Adapter> Build(AdapterConfig config,
                                       TensorMap tensors) const {
    auto built =
        BuildAdapter(sites_, "a", std::move(config), std::move(tensors), {});
    EXPECT_TRUE(built.ok()) << built.status();
    return built->adapter;
  }

  std::shared_ptr<const Adapter> Load(const std::string& path) const {
    auto loaded = LoadAdapter(sites_, "a", path, {});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded->adapter;
  }

  absl::Status SaveConverted(const Adapter& adapter) const {
    AdapterSaveOptions options;
    options.path_initial_model_for_weight_conversion = initial_;
    return SaveAdapter(adapter, saved_, options);
  }

  void ExpectRefused(const absl::Status& status,
                     const std::string& part) const {
    EXPECT_EQ(ErrorId(status), error_id::kArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
    EXPECT_FALSE(fs::exists(saved_));
  }

  const SiteTable sites_ = TinySites();
  std::string root_;
  std::string initial_;
  std::string saved_;
};

// Adapters of PEFT's, whose part of the base is computed when they load.
TEST_F(ConvertInitTest, WhatWasTakenFromTheBaseIsInTheFactors) {
  for (const char* name : {"pissa", "olora"}) {
    const auto trained = Load(absl::StrCat("peft_cc/adapters/testdata/", name));
    FreshAdapter fresh = Fresh(trained->config().json.dump());
    ASSERT_TRUE(
        SaveAdapter(*Build(fresh.config, fresh.tensors), initial_).ok());
    const absl::Status status = SaveConverted(*trained);
    ASSERT_TRUE(status.ok()) << status;
    const auto converted = Load(saved_);
    const Json& config = converted->config().json;
    EXPECT_EQ(config["init_lora_weights"].dump(), "true");
    EXPECT_EQ(config["r"].dump(), "6");
    if (std::string(name) == "olora") {
      EXPECT_EQ(config["lora_alpha"].dump(), "10");
    }
    ASSERT_EQ(converted->entries().size(), trained->entries().size());
    for (size_t i = 0; i < converted->entries().size(); ++i) {
      EXPECT_EQ(converted->entries()[i].program.size(), 1u);
      ExpectNear(Delta(converted->entries()[i].program),
                 Delta(trained->entries()[i].program));
    }
    fs::remove_all(initial_);
    fs::remove_all(saved_);
  }
}

// Drawn factors are only in the initial adapter. A rank of a pattern, and an
// embedding, from which nothing was taken.
TEST_F(ConvertInitTest, EveryLayerHasTheRankThatTheConfigSays) {
  FreshAdapter fresh = Fresh(
      R"({"peft_type": "LORA", "r": 6, "lora_alpha": 3, "use_rslora": true,
          "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"k_proj": 5},
          "target_modules": ["q_proj", "k_proj", "embed_tokens"],
          "init_lora_weights": "pissa_niter_2"})");
  const auto initial = Build(fresh.config, fresh.tensors);
  ASSERT_TRUE(SaveAdapter(*initial, initial_).ok());
  for (auto& [name, tensor] : fresh.tensors) {
    std::vector<float> values = tensor.ToF32();
    for (float& value : values) value = 1.5f * value + 0.01f;
    tensor = MakeTensor({tensor.shape().begin(), tensor.shape().end()}, values);
  }
  const auto trained = Build(fresh.config, fresh.tensors);
  const absl::Status status = SaveConverted(*trained);
  ASSERT_TRUE(status.ok()) << status;
  const auto converted = Load(saved_);
  EXPECT_EQ(converted->config().json["rank_pattern"]["k_proj"].dump(), "4");
  for (size_t i = 0; i < converted->entries().size(); ++i) {
    // That of new adapters takes away what they add, whatever they were.
    std::vector<double> expected =
        Delta({trained->entries()[i].program.back()});
    const SiteProgram& before = initial->entries()[i].program;
    const std::vector<double> taken =
        before.size() > 1 ? Delta({before[0]})
                          : std::vector<double>(expected.size());
    for (size_t j = 0; j < expected.size(); ++j) expected[j] += taken[j];
    ExpectNear(Delta(converted->entries()[i].program), expected);
  }
}

TEST_F(ConvertInitTest, TheInitialAdapterMayHaveItsNameInThatOfItsTensors) {
  const auto trained = Load("peft_cc/adapters/testdata/pissa");
  FreshAdapter fresh = Fresh(trained->config().json.dump());
  ASSERT_TRUE(SaveAdapter(*Build(fresh.config, fresh.tensors), initial_).ok());
  TensorMap named;
  for (const auto& [name, tensor] : fresh.tensors) {
    named[absl::StrReplaceAll(name, {{".lora_A.", ".lora_A.mine."},
                                     {".lora_B.", ".lora_B.mine."}})] = tensor;
  }
  ASSERT_TRUE(
      WriteSafetensors(absl::StrCat(initial_, "/adapter_model.safetensors"),
                       named, {})
          .ok());
  const absl::Status status = SaveConverted(*trained);
  ASSERT_TRUE(status.ok()) << status;
  ExpectNear(Delta(Load(saved_)->entries()[0].program),
             Delta(trained->entries()[0].program));
}

TEST_F(ConvertInitTest, AnInitThatLeftTheBaseAloneIsRefused) {
  const auto plain = Load("peft_cc/adapters/testdata/plain");
  ASSERT_TRUE(SaveAdapter(*plain, initial_).ok());
  ExpectRefused(SaveConverted(*plain), "init_lora_weights");
}

TEST_F(ConvertInitTest, AnInitialAdapterOfOtherLayersIsRefused) {
  const auto trained = Load("peft_cc/adapters/testdata/pissa");
  EXPECT_EQ(ErrorId(SaveConverted(*trained)), error_id::kFileNotFound);
  ASSERT_TRUE(
      SaveAdapter(*Load("peft_cc/adapters/testdata/olora"), initial_).ok());
  ExpectRefused(SaveConverted(*trained), "lora_A.weight");
}

TEST_F(ConvertInitTest, AnInitialAdapterOfAHigherRankIsRefused) {
  const auto trained = Load("peft_cc/adapters/testdata/pissa");
  const FreshAdapter fresh = Fresh(
      R"({"peft_type": "LORA", "r": 5, "init_lora_weights": "pissa",
          "target_modules": ["q_proj", "up_proj"]})");
  ASSERT_TRUE(SaveAdapter(*Build(fresh.config, fresh.tensors), initial_).ok());
  ExpectRefused(SaveConverted(*trained), "rank 5");
}

}  // namespace
}  // namespace peft
