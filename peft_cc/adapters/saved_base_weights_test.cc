#include "peft_cc/adapters/saved_base_weights.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/forms.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr char kHead[] = "lm_head";
constexpr char kSaved[] = "base_model.model.lm_head.base_layer.weight";

class SavedBaseWeightsTest : public ::testing::Test {
 protected:
  SavedBaseWeightsTest() { AddFactors(sites_, kHead, tensors_); }

  const Site& head() const { return sites_.sites()[sites_.Find(kHead)]; }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", MakeLoraConfig({kHead}), tensors_, {});
  }

  SiteTable sites_ = TinySites();
  TensorMap tensors_;
};

TEST_F(SavedBaseWeightsTest, EqualWeightIsNotedAndSharesTheBasesMemory) {
  tensors_[kSaved] = MakeTensor({10, 8}, head().weight.ToF32());
  const LoadedAdapter loaded = *Build();
  EXPECT_THAT(loaded.report.lines,
              Contains(AllOf(Field(&ReportLine::kind, ReportKind::kNote),
                             Field(&ReportLine::name, kSaved))));
  EXPECT_EQ(loaded.report.num_parameters, 36);
  EXPECT_EQ(loaded.adapter->state_dict().at("lm_head.base_layer.weight").data(),
            head().weight.data());
}

TEST_F(SavedBaseWeightsTest, TheOtherTensorsLeaveTheFilesMemory) {
  tensors_[kSaved] = head().weight;
  const void* in_file =
      tensors_["base_model.model.lm_head.lora_A.weight"].data();
  EXPECT_NE(Build()->adapter->state_dict().at("lm_head.lora_A.weight").data(),
            in_file);
}

TEST_F(SavedBaseWeightsTest, EqualWeightInAnotherDTypeIsAccepted) {
  // The tiny model's weights are exact in bf16.
  tensors_["base_model.model.model.embed_tokens.weight"] = MakeTensor(
      {10, 8}, sites_.sites()[sites_.Find("model.embed_tokens")].weight.ToF32(),
      DType::kBF16);
  EXPECT_TRUE(Build().ok());
}

TEST_F(SavedBaseWeightsTest, OfBiasesOnlyTheBasesOwnAreTaken) {
  constexpr char kBias[] = "base_model.model.model.layers.0.self_attn.q_proj";
  const Site& query =
      sites_.sites()[sites_.Find("model.layers.0.self_attn.q_proj")];
  Tensor& bias = tensors_[std::string(kBias) + ".bias"];
  bias = query.bias;
  const auto loaded = Build();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(
      loaded->report.lines,
      Contains(Field(&ReportLine::detail, HasSubstr("base model's bias"))));
  bias = MakeTensor(std::vector<int64_t>(query.bias.shape().begin(),
                                         query.bias.shape().end()),
                    {1});
  EXPECT_EQ(ErrorId(Build().status()), error_id::kTensorUnexpected);
}

TEST_F(SavedBaseWeightsTest, ATrainedBiasMayHaveTheBasesValues) {
  constexpr char kQuery[] = "model.layers.0.self_attn.q_proj";
  AddFactors(sites_, kQuery, tensors_);
  tensors_[std::string("base_model.model.") + kQuery + ".base_layer.bias"] =
      sites_.sites()[sites_.Find(kQuery)].bias;
  AdapterConfig config = MakeLoraConfig({kQuery, kHead});
  config.targets.bias = BiasMode::kLoraOnly;
  const auto loaded = BuildAdapter(sites_, "mine", config, tensors_, {});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
}

TEST_F(SavedBaseWeightsTest, OtherValuesReplaceTheBasesWhileActive) {
  tensors_[kSaved] = MakeTensor({10, 8}, {1});
  const LoadedAdapter loaded = *Build();
  const SiteProgram& program = loaded.adapter->entries()[0].program;
  ASSERT_EQ(program.size(), 2u);
  EXPECT_EQ(std::get<Replace>(program[0]).weight.ToF32()[0], 1.0f);
  EXPECT_TRUE(std::holds_alternative<LowRank>(program[1]));
  EXPECT_THAT(loaded.report.lines,
              Contains(Field(&ReportLine::detail, HasSubstr("replaces it"))));
}

// The init has been at that weight before it was saved.
TEST_F(SavedBaseWeightsTest, AnInitTakesNothingFromAWeightOfTheFile) {
  tensors_[kSaved] = MakeTensor({10, 8}, {1});
  AdapterConfig config = MakeLoraConfig({kHead});
  config.lora->init = BaseChangingInit::kPissa;
  const LoadedAdapter loaded =
      *BuildAdapter(sites_, "mine", config, tensors_, {});
  const SiteProgram& program = loaded.adapter->entries()[0].program;
  ASSERT_EQ(program.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Replace>(program[0]));
  EXPECT_GT(std::get<LowRank>(program[1]).scale, 0);
}

TEST_F(SavedBaseWeightsTest, AWeightThatIsReplacedOtherwiseIsRefused) {
  AdapterConfig config = MakeLoraConfig({"lm_head"});
  config.targets.trained_tokens = {{"", {3}}};
  tensors_["model.embed_tokens.weight"] = MakeTensor({10, 8}, {1});
  tensors_["model.embed_tokens.token_adapter.trainable_tokens_delta"] =
      MakeTensor({1, 8});
  EXPECT_EQ(
      ErrorId(BuildAdapter(sites_, "mine", config, tensors_, {}).status()),
      error_id::kAdapterConfig);
}

TEST_F(SavedBaseWeightsTest, ResizedVocabularyIsToldApart) {
  tensors_["base_model.model.lm_head.weight"] = MakeTensor({12, 8});
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterFeatureUnsupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("resized"));
}

TEST_F(SavedBaseWeightsTest, AWeightOfAnotherModelIsToldApart) {
  tensors_["base_model.model.lm_head.weight"] = MakeTensor({10, 9});
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterFeatureUnsupported);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another base model"));
}

}  // namespace
}  // namespace peft
