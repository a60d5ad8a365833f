#include "peft_cc/adapters/saved_modules.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/forms.h"

namespace peft {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kHead[] = "lm_head.weight";

// An adapter of one q_proj that replaces the head.
class SavedModulesTest : public ::testing::Test {
 protected:
  SavedModulesTest() {
    config_.targets.modules_to_save = {"lm_head"};
    AddFactors(sites_, kQ0, tensors_);
    tensors_[kHead] = MakeTensor({10, 8}, {1});
  }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", config_, tensors_, {});
  }

  SiteTable sites_ = TinySites();
  AdapterConfig config_ = MakeLoraConfig({kQ0});
  TensorMap tensors_;
};

TEST_F(SavedModulesTest, ReplaceTheModule) {
  const LoadedAdapter loaded = *Build();
  const SiteProgram* program =
      loaded.adapter->FindProgram(sites_.Find("lm_head"));
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(std::get<Replace>(program->front()).weight.ToF32()[0], 1.0f);
}

TEST_F(SavedModulesTest, AContainerReplacesAllBelowIt) {
  config_.targets.modules_to_save = {"layers.1.self_attn"};
  tensors_.erase(kHead);
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    const std::string module = std::string("model.layers.1.self_attn.") + name;
    const Site& site = sites_.sites()[sites_.Find(module)];
    tensors_[module + ".weight"] = site.weight;
    if (site.has_bias()) tensors_[module + ".bias"] = site.bias;
  }
  EXPECT_EQ(Build()->report.num_sites, 5);
}

TEST_F(SavedModulesTest, ANameIsTheEndOfAModulesName) {
  config_.targets.modules_to_save = {"head"};
  EXPECT_TRUE(Build().ok());
}

TEST_F(SavedModulesTest, AModuleThatIsNotThereIsNothing) {
  config_.targets.modules_to_save = {"score", "lm_head"};
  EXPECT_TRUE(Build().ok());
}

TEST_F(SavedModulesTest, MissingTensorsAreNamed) {
  tensors_.erase(kHead);
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kTensorMissing);
}

TEST_F(SavedModulesTest, TheBasesOwnStandsForWhatALenientLoadMisses) {
  tensors_.erase(kHead);
  AdapterLoadOptions options;
  options.lenient = true;
  const LoadedAdapter loaded =
      *BuildAdapter(sites_, "mine", config_, tensors_, options);
  const int head = sites_.Find("lm_head");
  const SiteProgram* program = loaded.adapter->FindProgram(head);
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(std::get<Replace>(program->front()).weight.data(),
            sites_.sites()[head].weight.data());
  const ReportLine& line = loaded.report.lines.back();
  EXPECT_EQ(line.kind, ReportKind::kMissing);
  EXPECT_EQ(line.name, std::string("base_model.model.") + kHead);
  EXPECT_EQ(line.detail, "the base model's own stands for it");
}

TEST_F(SavedModulesTest, CopiesOfBiasesThatPeftSavesBesideAreNotUsed) {
  config_.targets.bias = BiasMode::kAll;
  config_.targets.modules_to_save = {"layers.1.self_attn.k_proj"};
  tensors_.clear();
  AddFactors(sites_, kQ0, tensors_);
  const std::string module = "model.layers.1.self_attn.k_proj";
  tensors_[module + ".weight"] = MakeTensor({4, 8});
  for (const char* part :
       {".bias", ".original_module.bias", ".modules_to_save.bias"}) {
    tensors_[module + part] = MakeTensor({4});
  }
  tensors_[std::string(kQ0) + ".base_layer.bias"] = MakeTensor({8});
  for (const char* name :
       {"model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.v_proj"}) {
    tensors_[std::string(name) + ".bias"] = MakeTensor({4});
  }
  tensors_["model.layers.1.self_attn.q_proj.bias"] = MakeTensor({8});
  const absl::StatusOr<LoadedAdapter> loaded = Build();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->adapter->FindProgram(sites_.Find(module))->size(), 1u);
}

// The tiny model with a head of the embedding's weight.
SiteTable TiedSites(bool head_has_bias = false) {
  const SiteTable untied = TinySites();
  std::vector<Site> sites = untied.sites();
  Site& head = sites[untied.Find("lm_head")];
  head.weight = sites[untied.Find("model.embed_tokens")].weight;
  if (head_has_bias) head.bias = MakeTensor({10}, {1});
  return SiteTable(std::move(sites), untied.module_names(), "qwen2");
}

// Adapters that ensure_weight_tying, and save a head or its embedding.
class TiedModulesTest : public ::testing::Test {
 protected:
  TiedModulesTest() {
    config_.targets.ensure_weight_tying = true;
    AddFactors(sites_, kQ0, tensors_);
  }

  const Replace* Replaced(const LoadedAdapter& loaded, const char* module) {
    const SiteProgram* const program =
        loaded.adapter->FindProgram(sites_.Find(module));
    return program == nullptr ? nullptr : &std::get<Replace>(program->front());
  }

  SiteTable sites_ = TiedSites();
  AdapterConfig config_ = MakeLoraConfig({kQ0});
  TensorMap tensors_;
};

TEST_F(TiedModulesTest, TheHeadFollowsTheEmbedding) {
  tensors_["model.embed_tokens.weight"] = MakeTensor({10, 8}, {1});
  tensors_[kHead] = MakeTensor({10, 8}, {1});
  for (const char* name : {"embed_tokens", "lm_head"}) {
    config_.targets.modules_to_save = {name};
    const LoadedAdapter loaded =
        *BuildAdapter(sites_, "mine", config_, tensors_, {});
    EXPECT_EQ(Replaced(loaded, "lm_head")->weight.data(),
              Replaced(loaded, "model.embed_tokens")->weight.data());
  }
}

TEST_F(TiedModulesTest, TheHeadAloneIsNotEnough) {
  config_.targets.modules_to_save = {"lm_head"};
  tensors_[kHead] = MakeTensor({10, 8}, {1});
  EXPECT_EQ(
      ErrorId(BuildAdapter(sites_, "mine", config_, tensors_, {}).status()),
      error_id::kTensorMissing);
}

TEST_F(TiedModulesTest, OtherNamesStandForThemselves) {
  config_.targets.modules_to_save = {"model.norm", "tokens"};
  tensors_["model.norm.weight"] = MakeTensor({8}, {1});
  tensors_["model.embed_tokens.weight"] = MakeTensor({10, 8}, {1});
  const LoadedAdapter loaded =
      *BuildAdapter(sites_, "mine", config_, tensors_, {});
  EXPECT_NE(Replaced(loaded, "model.embed_tokens"), nullptr);
  EXPECT_EQ(Replaced(loaded, "lm_head"), nullptr);
}

TEST_F(TiedModulesTest, AHeadLosesItsBias) {
  sites_ = TiedSites(/*head_has_bias=*/true);
  config_.targets.modules_to_save = {"embed_tokens"};
  tensors_["model.embed_tokens.weight"] = MakeTensor({10, 8}, {1});
  const LoadedAdapter loaded =
      *BuildAdapter(sites_, "mine", config_, tensors_, {});
  EXPECT_EQ(Replaced(loaded, "lm_head")->bias.dtype(), DType::kUnspecified);
}

// As BertForMaskedLM has it: the head's bias is also the module's around it.
SiteTable MaskedLmSites() {
  Site query;
  query.name = "query";
  query.in_features = query.out_features = 8;
  query.weight = MakeTensor({8, 8});
  Site dense = query;
  dense.name = "cls.predictions.transform.dense";
  dense.bias = MakeTensor({8});
  Site head = query;
  head.name = "cls.predictions.decoder";
  head.is_output_embedding = true;
  head.bias = MakeTensor({8});
  return SiteTable({query, dense, head},
                   {"query", "cls", "cls.predictions",
                    "cls.predictions.transform", dense.name, head.name},
                   "bert");
}

// An adapter that replaces all of that head.
class SavedHeadTest : public ::testing::Test {
 protected:
  SavedHeadTest() {
    AddFactors(sites_, "query", tensors_);
    for (const char* module : {"transform.dense", "decoder"}) {
      const std::string name = absl::StrCat("cls.predictions.", module);
      tensors_[name + ".weight"] = MakeTensor({8, 8}, {2});
      tensors_[name + ".bias"] = MakeTensor({8}, {3});
    }
    tensors_["cls.predictions.bias"] = MakeTensor({8}, {4});
  }

  void ExpectHeadsOwnBias(const char* saved) {
    config_.targets.modules_to_save = {saved};
    const absl::StatusOr<LoadedAdapter> loaded =
        BuildAdapter(sites_, "mine", config_, tensors_, {});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->adapter->state_dict().size(), tensors_.size());
    const SiteProgram* const program =
        loaded->adapter->FindProgram(sites_.Find("cls.predictions.decoder"));
    EXPECT_EQ(std::get<Replace>(program->front()).bias.ToF32()[0], 3.0f);
  }

  SiteTable sites_ = MaskedLmSites();
  AdapterConfig config_ = MakeLoraConfig({"query"});
  TensorMap tensors_;
};

TEST_F(SavedHeadTest, TheHeadsOwnNameOfTheBiasCounts) {
  ExpectHeadsOwnBias("cls");
  ExpectHeadsOwnBias("predictions");
}

TEST_F(SavedHeadTest, CopiesOfBiasesBelowAContainerAreNotUsed) {
  config_.targets.bias = BiasMode::kAll;
  for (const char* copy : {"original_module", "modules_to_save.my_name"}) {
    for (const char* module : {"", ".transform.dense", ".decoder"}) {
      tensors_[absl::StrCat("cls.", copy, ".predictions", module, ".bias")] =
          MakeTensor({8}, {5});
    }
  }
  ExpectHeadsOwnBias("cls");
}

TEST_F(SavedHeadTest, OtherTensorsThereAreUnexpected) {
  config_.targets.bias = BiasMode::kAll;
  config_.targets.modules_to_save = {"cls"};
  tensors_["cls.original_module.predictions.decoder.weight"] =
      MakeTensor({8, 8});
  EXPECT_EQ(
      ErrorId(BuildAdapter(sites_, "mine", config_, tensors_, {}).status()),
      error_id::kTensorUnexpected);
}

TEST_F(SavedHeadTest, NewAdaptersHaveTheBiasUnderBothNames) {
  config_.targets.modules_to_save = {"predictions"};
  TensorMap made;
  ASSERT_TRUE(AddBaseModules(config_.targets, sites_, made).ok());
  EXPECT_EQ(made.count("cls.predictions.bias"), 1u);
  EXPECT_EQ(made.count("cls.predictions.decoder.bias"), 1u);
  made.clear();
  config_.targets.modules_to_save = {"decoder"};
  ASSERT_TRUE(AddBaseModules(config_.targets, sites_, made).ok());
  EXPECT_EQ(made.count("cls.predictions.bias"), 0u);
}

TEST_F(TiedModulesTest, ANewAdaptersHeadHasTheBiasOfTheBaseBesideIt) {
  sites_ = TiedSites(/*head_has_bias=*/true);
  config_.targets.modules_to_save = {"lm_head"};
  TensorMap made;
  made["lm_head.bias"] = MakeTensor({10});  // of bias = "all"
  ASSERT_TRUE(AddBaseModules(config_.targets, sites_, made).ok());
  EXPECT_EQ(made.count("lm_head.bias"), 0u);
  EXPECT_EQ(made.count("lm_head.original_module.bias"), 1u);
}

}  // namespace
}  // namespace peft
